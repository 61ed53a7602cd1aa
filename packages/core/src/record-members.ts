import type { AuditRecord } from './audit.ts'

/** What needs more than quotes in JSON, or may. */
const SPECIAL = /[^ !#-[\]-~]/

let lastTime = Number.NaN
let lastText = ''

/** How the names of the usual members begin them. */
const BEGINNINGS: ReadonlyMap<string, string> = new Map(
  [
    ...['event', 'outcome', 'at', 'sessionId', 'issuer', 'subject', 'clientId', 'act', 'durationMs', 'code', 'reason'],
    ...['traceId', 'tool', 'module', 'type', 'target', 'principal', 'groups', 'arguments', 'count', 'since'],
  ].map((name) => [name, `,"${name}":`]),
)

/**
 * The members of a record in JSON, each after a comma, as JSON.stringify has them. By hand, since each hit of the cache
 * writes one: most members are short texts or undefined, and many records are of the same millisecond.
 */
export function recordMembers(record: AuditRecord): string {
  const members = record as unknown as Readonly<Record<string, unknown>>
  let json = ''
  for (const name of Object.keys(members)) {
    const value = members[name]
    if (value === undefined) continue
    const text = typeof value === 'string' ? textJson(value) : valueJson(value)
    // A function has no JSON.
    if (text !== undefined) json += (BEGINNINGS.get(name) ?? `,${textJson(name)}:`) + text
  }
  return json
}

function textJson(text: string): string {
  return SPECIAL.test(text) ? JSON.stringify(text) : `"${text}"`
}

function valueJson(value: unknown): string | undefined {
  if (value instanceof Date) return timeJson(value)
  if (Array.isArray(value) && value.length === 0) return '[]'
  return JSON.stringify(value)
}

function timeJson(date: Date): string {
  const time = date.getTime()
  if (time !== lastTime) {
    lastText = JSON.stringify(date)
    lastTime = time
  }
  return lastText
}
