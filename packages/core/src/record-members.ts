import type { AuditRecord } from './audit.ts'
import { inOnePiece } from './text.ts'

type Members = Readonly<Record<string, unknown>>

/** What needs more than quotes in JSON, or may. */
const SPECIAL = /[^ !#-[\]-~]/
/** How many texts of each run are remembered; then it begins anew. */
const MAX_KNOWN = 1_000

let lastTime = Number.NaN
let lastText = ''

/** How the names of the usual members begin them. */
const BEGINNINGS: ReadonlyMap<string, string> = new Map(
  [
    ...['event', 'outcome', 'at', 'sessionId', 'issuer', 'subject', 'clientId', 'act', 'durationMs', 'code', 'reason'],
    ...['traceId', 'tool', 'module', 'type', 'target', 'principal', 'groups', 'arguments', 'count', 'since'],
  ].map((name) => [name, `,"${name}":`]),
)

/** What was written of a run. */
interface Known {
  readonly values: readonly unknown[]
  json: string
  isInOnePiece: boolean
}

/** Members that follow one another in the usual records, and are the same ones in many. Their JSON is remembered. */
class Run {
  readonly names: readonly string[]
  readonly #key: string
  readonly #known = new Map<unknown, Known>()

  /** @param key the name of the member that tells them apart best: for each of its values the last ones are kept. */
  constructor(key: string, names: readonly string[]) {
    this.#key = key
    this.names = names
  }

  /** Whether these members come from `index` on. */
  begins(names: readonly string[], index: number): boolean {
    for (let each = 0; each < this.names.length; each++) if (names[index + each] !== this.names[each]) return false
    return true
  }

  json(members: Members): string {
    const key = members[this.#key]
    const known = this.#known.get(key)
    if (known === undefined || !this.#isSame(known.values, members)) return this.#make(key, members)
    if (!known.isInOnePiece) {
      known.json = inOnePiece(known.json)
      known.isInOnePiece = true
    }
    return known.json
  }

  #isSame(values: readonly unknown[], members: Members): boolean {
    for (let each = 0; each < values.length; each++)
      if (values[each] !== members[this.names[each] as string]) return false
    return true
  }

  #make(key: unknown, members: Members): string {
    const values: unknown[] = []
    let json = ''
    let constant = true
    for (const name of this.names) {
      const value = members[name]
      values.push(value)
      json += memberJson(name, value)
      constant &&= isConstant(value)
    }
    if (!constant) return json
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(key, { values, json, isInOnePiece: false })
    return json
  }
}

/** Whether the JSON of a value that is this one is always the same. */
function isConstant(value: unknown): boolean {
  if (typeof value === 'string' || value === undefined) return true
  return Array.isArray(value) && Object.isFrozen(value) && value.every((member) => typeof member === 'string')
}

const EVENT = new Run('outcome', ['event', 'outcome'])
const WHO = new Run('sessionId', ['sessionId', 'issuer', 'subject', 'clientId', 'act'])
const WHAT = new Run('principal', ['tool', 'module', 'type', 'target', 'principal'])

/**
 * The members of a record in JSON, each after a comma, as JSON.stringify has them. By hand, since each hit of the cache
 * writes one: most members are short texts or undefined, and many records are of the same millisecond, and of few users.
 */
export function recordMembers(record: AuditRecord): string {
  const members = record as unknown as Members
  const names = Object.keys(members)
  let json = ''
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string
    const run = name === 'event' ? EVENT : name === 'sessionId' ? WHO : name === 'tool' ? WHAT : undefined
    if (run?.begins(names, index) === true) {
      json += run.json(members)
      index += run.names.length - 1
    } else json += memberJson(name, members[name])
  }
  return json
}

function memberJson(name: string, value: unknown): string {
  if (value === undefined) return ''
  const text = typeof value === 'string' ? textJson(value) : valueJson(value)
  // A function has no JSON.
  return text === undefined ? '' : (BEGINNINGS.get(name) ?? `,${textJson(name)}:`) + text
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
