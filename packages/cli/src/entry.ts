import { isUtf8 } from 'node:buffer'
import type { RawLine } from './raw-lines.ts'

/** How a line begins that the writer of a sealed log added. */
export const SEAL_LINE: RegExp = /^\{"seq":[0-9]+,"seal":/
/** In how many bytes that shows. */
export const SEAL_HEAD = 40

/** What a record says, as it was read: every field may hold anything. */
export type Fields = Readonly<Record<string, unknown>>

/** A line of an audit log. */
export type Entry = RecordEntry | SealEntry | BrokenEntry

interface Place {
  readonly file: string
  readonly line: RawLine
}

/** An audit record: it says when and what. */
export interface RecordEntry extends Place {
  readonly kind: 'record'
  /** In milliseconds since the epoch. */
  readonly at: number
  readonly text: string
  readonly fields: Fields
}

/** A line that the writer of a sealed log added: the beginning of a file, a checkpoint, a restart. */
interface SealEntry extends Place {
  readonly kind: 'seal'
}

/** A line that is no audit record. */
export interface BrokenEntry extends Place {
  readonly kind: 'broken'
  readonly why: string
}

/** Reads a line of `file`. It never throws: what is no record says why. */
export function entryOf(line: RawLine, file: string): Entry {
  const broken = (why: string): BrokenEntry => ({ kind: 'broken', why, file, line })
  const { bytes, complete } = line
  if (bytes === undefined) return broken('longer than 1 MiB')
  if (!isUtf8(bytes)) return broken(complete ? 'not UTF-8' : 'torn')
  const text = bytes.toString()
  const value = parsed(text)
  if (value === undefined) return broken(complete ? 'not JSON' : 'torn')
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return broken('not an audit record')
  const fields = value as Fields
  if (SEAL_LINE.test(text)) return { kind: 'seal', file, line }
  const at = typeof fields['at'] === 'string' ? Date.parse(fields['at']) : Number.NaN
  if (Number.isNaN(at) || typeof fields['event'] !== 'string') return broken('not an audit record')
  return { kind: 'record', at, text, fields, file, line }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
