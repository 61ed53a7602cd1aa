import type { BrokenEntry, Fields, RecordEntry } from './entry.ts'
import { shortened, who, word } from './printable.ts'

/** The widths of what begins a line: the longest event, the longest outcome, a minute and more in milliseconds. */
const EVENT = 14
const OUTCOME = 8
const DURATION = 9
const WHO = 40

/** What follows who, each as `name=value`, where a record has it. */
const DETAILS = ['tool', 'resource', 'uri', 'prompt', 'module', 'type', 'target', 'principal', 'credentials', 'sid']

/** A record on one line: when, what, how it ended, how long it took, who, and what is particular to it. */
export function readableLine({ at, fields }: RecordEntry): string {
  const begin = [
    new Date(at).toISOString(),
    word(fields['event']).padEnd(EVENT),
    (isThere(fields['outcome']) ? word(fields['outcome']) : '-').padEnd(OUTCOME),
    durationOf(fields['durationMs']).padStart(DURATION),
    who(fields['subject'], fields['issuer']).padEnd(WHO),
  ]
  return [...begin, ...detailsOf(fields)].join('  ').trimEnd()
}

/** A line that is no record, as what it is. */
export function brokenLine({ why, file, line }: BrokenEntry): string {
  const text = line.bytes === undefined ? '' : `  ${word(line.bytes.toString())}`
  return `${'?'.padEnd(24)}  ${why}: ${placeOf({ file, line })}${text}`
}

/** Where a line is. */
export function placeOf({ file, line }: Pick<BrokenEntry, 'file' | 'line'>): string {
  return `${file}, byte ${line.start}`
}

function detailsOf(fields: Fields): string[] {
  const { act, code, reason, count, since } = fields
  const details = DETAILS.filter((name) => isThere(fields[name])).map((name) => `${name}=${word(fields[name])}`)
  if (Array.isArray(act) && act.length > 0) details.push(`act=${act.map(word).join(',')}`)
  if (isThere(count)) details.push(`count=${word(count)}${isThere(since) ? ` since=${word(since)}` : ''}`)
  // Last, since it is free text.
  const because = [code, reason]
    .filter(isThere)
    .map((part) => (typeof part === 'string' ? shortened(part) : word(part)))
  return because.length > 0 ? [...details, because.join(': ')] : details
}

function durationOf(duration: unknown): string {
  return typeof duration === 'number' ? `${duration < 10 ? duration.toFixed(1) : Math.round(duration)} ms` : '-'
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null
}
