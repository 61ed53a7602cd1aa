import { type FileHandle, open } from 'node:fs/promises'

/** The longest line that is read as one, in bytes, without its end. The writer refuses records that need more. */
export const MAX_LINE: number = 1_048_576
const CHUNK = 262_144
const LINE_END = 10

/** A line of a file, as bytes; they are valid until the next one is asked for. */
export interface Line {
  readonly bytes: Buffer
  /** From 1, or from the place at which reading began. */
  readonly number: number
  /** Where the line begins and where the next one does, in bytes. */
  readonly start: number
  readonly end: number
  /** Whether the line has its end; only the last one may lack it. */
  readonly complete: boolean
  /** Whether `bytes` is a piece of a line that is longer than {@link MAX_LINE}. */
  readonly piece: boolean
  /** Whether the next one is a further piece of the same line. */
  readonly more: boolean
}

/** Reads a file line by line, in bounded memory. A file that grows meanwhile is read up to the end that it has then. */
export async function* linesOf(path: string, start = 0): AsyncGenerator<Line, void, undefined> {
  const file = await open(path, 'r')
  try {
    yield* linesFrom(file, start)
  } finally {
    await file.close()
  }
}

async function* linesFrom(file: FileHandle, start: number): AsyncGenerator<Line, void, undefined> {
  let buffer: Buffer = Buffer.allocUnsafe(CHUNK)
  let filled = 0
  let position = start
  let number = 1
  let inPieces = false
  for (;;) {
    if (filled === buffer.length) buffer = Buffer.concat([buffer], Math.min(buffer.length * 2, MAX_LINE + CHUNK))
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled)
    filled += bytesRead
    let taken = 0
    for (;;) {
      const found = buffer.subarray(0, filled).indexOf(LINE_END, taken)
      if (found === -1) break
      yield line(taken, found, true)
      inPieces = false
      number++
      taken = found + 1
    }
    if (bytesRead === 0) {
      if (filled > taken || inPieces) yield line(taken, filled, false)
      return
    }
    if (filled - taken > MAX_LINE) {
      inPieces = true
      yield { ...line(taken, filled, false), more: true }
      taken = filled
    }
    buffer.copy(buffer, 0, taken, filled)
    filled -= taken
    position += taken
  }

  function line(from: number, to: number, complete: boolean): Line {
    const bytes = buffer.subarray(from, to)
    const piece = inPieces || bytes.length > MAX_LINE
    const end = position + to + (complete ? 1 : 0)
    return { bytes, number, start: position + from, end, complete, piece, more: false }
  }
}
