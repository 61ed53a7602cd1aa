import { hash } from 'node:crypto'

/** What a line is. */
export type LineKind = 'record' | 'seal' | 'malformed'

/** What precedes the first line of a log, as a hash. */
export const GENESIS: string = 'A'.repeat(43)

/** A line of a sealed log: its number, and the part that its hash covers. */
export interface SealedLine {
  readonly seq: number
  /** Without `,"hash":"…"}`. */
  readonly body: Buffer
  /** As the line states it. */
  readonly hash: string
  readonly kind: LineKind
}

// {"seq":1,"event":… ,"hash":"<43 characters of base64url>"}
const PREFIX = /^\{"seq":([1-9][0-9]{0,15}),/
const SEAL = /^\{"seq":[0-9]+,"seal":/
const TAIL = /^,"hash":"([\w-]{43})"\}$/
const TAIL_LENGTH = 54
const HEAD_LENGTH = 40

/**
 * The hash of a line: SHA-256, in base64url, of the previous line's hash as those 43 characters and the bytes of this
 * line up to `,"hash":"`.
 */
export function chainHash(previous: string, body: string): string {
  return hash('sha256', previous + body, 'base64url')
}

/** The line as text, with its end. */
export function lineOf(body: string, hashed: string): string {
  return `${body},"hash":"${hashed}"}\n`
}

/** The part of a line that is hashed; `members` are JSON, each after a comma. */
export function bodyOf(seq: number, members: string): string {
  return `{"seq":${seq}${members}`
}

let scratch = Buffer.allocUnsafe(65_536)

/** As {@link chainHash}, of bytes as they were read. */
export function chainHashOfBytes(previous: string, body: Buffer): string {
  const length = previous.length + body.length
  if (length > scratch.length) scratch = Buffer.allocUnsafe(length * 2)
  scratch.write(previous, 0, 'latin1')
  body.copy(scratch, previous.length)
  return hash('sha256', scratch.subarray(0, length), 'base64url')
}

/** Takes a line apart; undefined where it has not the form of a sealed one. */
export function sealedLineOf(bytes: Buffer): SealedLine | undefined {
  if (bytes.length < TAIL_LENGTH) return undefined
  const bodyLength = bytes.length - TAIL_LENGTH
  const stated = TAIL.exec(bytes.toString('latin1', bodyLength))?.[1]
  const seq = seqOf(bytes)
  if (stated === undefined || seq === undefined) return undefined
  return { seq, body: bytes.subarray(0, bodyLength), hash: stated, kind: kindOf(bytes) }
}

/** The sequence number at the beginning of a line. */
export function seqOf(bytes: Buffer): number | undefined {
  const digits = PREFIX.exec(bytes.toString('latin1', 0, HEAD_LENGTH))?.[1]
  const seq = digits === undefined ? 0 : Number(digits)
  return Number.isSafeInteger(seq) && seq > 0 ? seq : undefined
}

/** Whether the writer made this line itself, as far as its beginning says. */
export function kindOf(bytes: Buffer): LineKind {
  return SEAL.test(bytes.toString('latin1', 0, HEAD_LENGTH)) ? 'seal' : 'record'
}
