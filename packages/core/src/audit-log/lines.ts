import { constants } from 'node:fs'
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

// Opening a pipe must not wait for somebody who writes to it.
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * Reads a file line by line, in bounded memory. A file that grows meanwhile is read up to the end that it has then, or
 * unless it is `growing` to the one that it had. What is no regular file rejects, with `ESPIPE` unless the system has a
 * reason of its own.
 */
export async function* linesOf(path: string, start = 0, growing = true): AsyncGenerator<Line, void, undefined> {
  const file = await open(path, FLAGS)
  try {
    const found = await file.stat()
    if (!(found.isFile() || found.isDirectory()))
      throw Object.assign(new Error('this is no regular file'), { code: 'ESPIPE' })
    yield* linesFrom(file, start, growing ? Number.POSITIVE_INFINITY : found.size)
  } finally {
    await file.close()
  }
}

async function* linesFrom(file: FileHandle, start: number, end: number): AsyncGenerator<Line, void, undefined> {
  let buffer: Buffer = Buffer.allocUnsafe(CHUNK)
  let filled = 0
  let position = start
  let number = 1
  let inPieces = false
  for (;;) {
    if (filled === buffer.length) buffer = Buffer.concat([buffer], Math.min(buffer.length * 2, MAX_LINE + CHUNK))
    const room = Math.min(buffer.length - filled, end - position - filled)
    const { bytesRead } = await file.read(buffer, filled, room, position + filled)
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
