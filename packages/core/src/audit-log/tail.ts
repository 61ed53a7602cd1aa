import type { KeyObject } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { openCheckpoint, type VerifiedCheckpoint } from './checkpoint.ts'
import { chainHashOfBytes, type SealedLine, sealedLineOf } from './format.ts'
import { linesOf } from './lines.ts'

/** Where a sealed file was left. */
export interface Tail {
  /** What the file's first checkpoint says. */
  readonly head: VerifiedCheckpoint
  /** The last line that continues the chain. */
  readonly seq: number
  readonly hash: string
  /** What follows that line: an incomplete write. */
  readonly torn: Buffer
}

/** A file without one complete line. */
export interface TornFile {
  readonly head: undefined
  readonly torn: Buffer
}

const FIRST_WINDOW = 262_144
const LARGEST_WINDOW = 67_108_864
/** Each start on a file that never got its first line leaves a torn one. */
const MAX_TORN_HEADS = 16
const NOTHING: Buffer = Buffer.alloc(0)

/** The checkpoint inside a line of the writer's own, as a compact JWS; undefined where there is none. */
export function checkpointIn(line: SealedLine): string | undefined {
  if (line.kind !== 'seal') return undefined
  try {
    const { jws } = JSON.parse(`${line.body}}`) as { jws?: unknown }
    return typeof jws === 'string' ? jws : undefined
  } catch {
    return undefined
  }
}

/** What the file's first checkpoint says; undefined where the file has no line that is complete. */
export async function readHead(path: string, keys: readonly KeyObject[]): Promise<VerifiedCheckpoint | undefined> {
  let complete = 0
  for await (const { bytes, complete: hasEnd } of linesOf(path)) {
    if (!hasEnd) break
    const line = sealedLineOf(bytes)
    const checkpoint = line === undefined ? undefined : await linkedCheckpoint(line, keys)
    if (checkpoint !== undefined) return checkpoint
    if (++complete === MAX_TORN_HEADS) break
  }
  if (complete === 0) return undefined
  throw new Error('the audit file does not begin as a log that is sealed with this key, or one of the previous ones')
}

/** The checkpoint of a line that continues the chain where the checkpoint says. */
async function linkedCheckpoint(line: SealedLine, keys: readonly KeyObject[]): Promise<VerifiedCheckpoint | undefined> {
  const jws = checkpointIn(line)
  const checkpoint = jws === undefined ? undefined : await openCheckpoint(jws, keys)
  if (checkpoint === undefined || line.seq !== checkpoint.seq + 1) return undefined
  return line.hash === chainHashOfBytes(checkpoint.hash, line.body) ? checkpoint : undefined
}

/**
 * Finds the last line that continues the chain, from the end; what follows it is torn. A file without one complete line
 * is torn as a whole.
 * @throws Error where the file is something else.
 */
export async function readTail(path: string, keys: readonly KeyObject[]): Promise<Tail | TornFile> {
  const head = await readHead(path, keys)
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    for (let window = FIRST_WINDOW; ; window *= 4) {
      const start = Math.max(0, size - window)
      const bytes = await readFrom(file, start, size)
      if (head === undefined) return { head, torn: bytes }
      const found = await lastLinked(bytes, keys)
      if (found !== undefined) return { ...found, head }
      if (start === 0 || window >= LARGEST_WINDOW) throw new Error('the end of the audit file can not be continued')
    }
  } finally {
    await file.close()
  }
}

async function readFrom(file: FileHandle, start: number, size: number): Promise<Buffer> {
  if (size === start) return NOTHING
  const buffer = Buffer.alloc(size - start)
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled)
    if (bytesRead === 0) throw new Error('the audit file was cut meanwhile')
    filled += bytesRead
  }
  return buffer
}

async function lastLinked(bytes: Buffer, keys: readonly KeyObject[]): Promise<Omit<Tail, 'head'> | undefined> {
  let end = bytes.lastIndexOf(10)
  while (end >= 0) {
    const start = end === 0 ? 0 : bytes.lastIndexOf(10, end - 1) + 1
    const line = sealedLineOf(bytes.subarray(start, end))
    if (line !== undefined && (continues(bytes, start, line) || (await linkedCheckpoint(line, keys)) !== undefined))
      return { seq: line.seq, hash: line.hash, torn: Buffer.from(bytes.subarray(end + 1)) }
    if (start === 0) return undefined
    end = start - 1
  }
  return undefined
}

/** Whether the line at `start` follows the one before it. */
function continues(bytes: Buffer, start: number, line: SealedLine): boolean {
  if (start === 0) return false
  const end = start - 1
  const begin = end === 0 ? 0 : bytes.lastIndexOf(10, end - 1) + 1
  const previous = sealedLineOf(bytes.subarray(begin, end))
  return previous?.seq === line.seq - 1 && line.hash === chainHashOfBytes(previous.hash, line.body)
}
