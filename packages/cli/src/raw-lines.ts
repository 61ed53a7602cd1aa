/** The longest line that is read as one, in bytes. */
const MAX_LINE = 1_048_576
const LINE_END = 10

/** A line as it was read, without its end. */
export interface RawLine {
  /** Where it begins, in bytes. */
  readonly start: number
  /** Undefined where it is longer than {@link MAX_LINE}. */
  readonly bytes: Buffer | undefined
  /** Whether it has its end. The last one may lack it: it may be torn, or still be being written. */
  readonly complete: boolean
}

/** Makes lines of what is read piece by piece, in bounded memory. Empty lines are left out. */
export interface LineSplitter {
  /** The lines that end in `chunk`. It is kept: don't write into it again. */
  push(chunk: Buffer): Generator<RawLine>
  /** The line that has no end, if there is one. The next `push` begins a new file. */
  end(): Generator<RawLine>
}

/** @param start Where the first chunk begins in its file. */
export function lineSplitter(start: number): LineSplitter {
  let parts: Buffer[] = []
  let length = 0
  let begins = start

  function add(part: Buffer): void {
    length += part.length
    if (length > MAX_LINE) parts = []
    else if (part.length > 0) parts.push(part)
  }
  function* take(complete: boolean): Generator<RawLine> {
    const bytes = length > MAX_LINE ? undefined : parts.length === 1 ? parts[0] : Buffer.concat(parts)
    if (length > 0) yield { start: begins, bytes, complete }
    begins += length + 1
    parts = []
    length = 0
  }

  return {
    *push(chunk) {
      let taken = 0
      for (;;) {
        const found = chunk.indexOf(LINE_END, taken)
        if (found === -1) break
        add(chunk.subarray(taken, found))
        yield* take(true)
        taken = found + 1
      }
      add(chunk.subarray(taken))
    },
    *end() {
      yield* take(false)
      begins = 0
    },
  }
}
