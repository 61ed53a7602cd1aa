import { type FileHandle, open, stat } from 'node:fs/promises'
import { auditLogFiles } from '@mcp-delegation/core/audit'
import { SEAL_HEAD, SEAL_LINE } from './entry.ts'
import { WITHOUT_WAITING } from './opened.ts'
import { type LineSplitter, lineSplitter, type RawLine } from './raw-lines.ts'

const CHUNK = 65_536
const LINE_END = 10

/** What is in `file` from `start` until `end`, or until its end, in pieces. What is not a regular file has no places. */
export async function* chunksOf(
  file: FileHandle,
  start = 0,
  end: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer> {
  const places = (await file.stat()).isFile()
  for (let position = start; position < end; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, end - position))
    const { bytesRead } = await file.read(chunk, 0, chunk.length, places ? position : null)
    if (bytesRead === 0) return
    position += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

/** Where the last `count` records of the `size` bytes of `file` begin, and how many there are. Reads from the end. */
export async function lastRecords(
  file: FileHandle,
  size: number,
  count: number,
): Promise<{ readonly start: number; readonly found: number }> {
  let found = 0
  if (count === 0) return { start: size, found }
  for (let end = size; end > 0; end -= CHUNK) {
    const start = Math.max(0, end - CHUNK)
    // With the byte before, and with the head of the last line that begins here.
    const from = Math.max(0, start - 1)
    const piece = Buffer.alloc(Math.min(size, end + SEAL_HEAD) - from)
    await file.read(piece, 0, piece.length, from)
    for (let begin = end - 1; begin >= start && found < count; begin--) {
      const index = begin - from
      if ((begin > 0 && piece[index - 1] !== LINE_END) || piece[index] === LINE_END) continue
      if (SEAL_LINE.test(piece.toString('latin1', index, index + SEAL_HEAD))) continue
      found++
      if (found === count) return { start: begin, found }
    }
  }
  return { start: 0, found }
}

/** A file that may be renamed, recreated or truncated while it is read on. */
export interface FollowedFile extends AsyncDisposable {
  /** The lines up to `end`, which begin a reading. */
  until(end: number): AsyncGenerator<RawLine>
  /** The line that has no end yet, where nothing more is awaited. */
  rest(): Generator<RawLine>
  /** The lines that were added since, through whatever became of the file. */
  fresh(): AsyncGenerator<RawLine>
}

/**
 * Reads on from `start` in `opened`, the file at `path`; where it is undefined, in the one that will be there, after
 * those that are rotated away from it until it is seen, but for the ones that were there `before`.
 */
export function followedFile(
  path: string,
  opened: FileHandle | undefined,
  start: number,
  before: readonly string[] = [],
): FollowedFile {
  let file = opened
  let position = start
  const splitter: LineSplitter = lineSplitter(start)

  async function* read(from: FileHandle, end?: number): AsyncGenerator<RawLine> {
    for await (const chunk of chunksOf(from, position, end)) {
      position += chunk.length
      yield* splitter.push(chunk)
    }
  }
  async function* change(next: FileHandle): AsyncGenerator<RawLine> {
    yield* splitter.end()
    await file?.close()
    file = next
    position = 0
  }

  return {
    until: (end) => (file === undefined ? nothing() : read(file, end)),
    rest: () => splitter.end(),
    async *fresh() {
      // Before reading: a file that was renamed by then is read to its end.
      const there = await stat(path).catch(() => undefined)
      const known = await file?.stat()
      const isStill = there !== undefined && known !== undefined && isSame(there, known)
      if (isStill && there.size < position) {
        yield* splitter.end()
        position = 0
      }
      if (file !== undefined) yield* read(file)
      if (there === undefined || isStill) return
      const next = await open(path, WITHOUT_WAITING).catch(() => undefined)
      // Renamed meanwhile: the next time.
      if (next === undefined) return
      for (const name of await filesBetween(path, known ?? before, await next.stat())) {
        const between = await open(name, WITHOUT_WAITING).catch(() => undefined)
        // Deleted meanwhile.
        if (between === undefined) continue
        yield* change(between)
        yield* read(between)
      }
      yield* change(next)
      yield* read(next)
    },
    [Symbol.asyncDispose]: async () => file?.close(),
  }
}

interface Known {
  readonly dev: number
  readonly ino: number
}

const isSame = (one: Known, other: Known): boolean => one.dev === other.dev && one.ino === other.ino

async function* nothing(): AsyncGenerator<RawLine> {}

/** The files that were rotated away from `path` after the one that is `known`, or those that are, and before `next`. */
async function filesBetween(path: string, known: Known | readonly string[], next: Known): Promise<string[]> {
  const between: string[] = []
  // From the newest.
  for (const name of (await auditLogFiles(path)).toReversed()) {
    const found = await stat(name).catch(() => undefined)
    if (found?.isFile() !== true || name === path) continue
    if ('dev' in known ? isSame(found, known) : known.includes(name)) return between.toReversed()
    if (isSame(found, next)) between.length = 0
    else between.push(name)
  }
  return 'dev' in known ? [] : between.toReversed()
}
