import type { AuditRecord } from './audit.ts'
import type { CheckedRepeats } from './file-audit-options.ts'

/** A refusal that others of its kind follow. */
interface Kind {
  /** What stands for those that were counted; undefined while there are none. */
  record: AuditRecord | undefined
  count: number
  since: Date
}

type User = Map<string, Kind>

const COUNTED: ReadonlySet<AuditRecord['event']> = new Set<AuditRecord['event']>([
  'delegation',
  'refresh',
  'tool',
  'resource',
  'prompt',
  'authentication',
])
/** How many kinds of all users are told apart; they are kept in memory. */
const MAX_KINDS = 20_000
/** Fields that a record of several must have all the same. */
const SEVERAL: Readonly<Record<string, unknown>> = {
  ...{ tool: '(several)', module: '(several)', resource: '(several)', uri: '(several)', prompt: '(several)' },
  ...{ act: [], groups: [], arguments: {} },
}

/** Whether the record is a refusal of a user, of which many may follow: not a failure, an export or a block. */
export function isRefusal(record: AuditRecord): boolean {
  const { outcome, event } = record as { outcome?: unknown; event: AuditRecord['event'] }
  return (outcome === 'refused' || outcome === 'denied') && COUNTED.has(event)
}

/** Counts refusals that repeat others, and writes them as one. */
export class Repeats {
  readonly #options: CheckedRepeats
  readonly #write: (record: AuditRecord) => void
  readonly #users = new Map<string, User>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #kinds = 0

  constructor(options: CheckedRepeats, write: (record: AuditRecord) => void) {
    this.#options = options
    this.#write = write
  }

  /**
   * Whether the record was counted, and is written later with others.
   * @param crowded whether also the first of its kind is to wait.
   */
  take(record: AuditRecord, crowded: boolean): boolean {
    const user = this.#userOf(record)
    let key = kindOf(record)
    let kind = user.get(key)
    if (kind === undefined) {
      const room = user.size < this.#options.kinds && this.#kinds < MAX_KINDS
      if (!room) key = record.event
      kind = user.get(key)
      if (kind === undefined) {
        kind = { record: undefined, count: 0, since: record.at }
        user.set(key, kind)
        this.#kinds++
        if (room && !crowded) return false
      }
    }
    add(kind, record)
    return true
  }

  #userOf({ issuer, subject }: AuditRecord): User {
    let key = issuer === undefined || subject === undefined ? '' : `${issuer}\u0000${subject}`
    let user = this.#users.get(key)
    if (user !== undefined) return user
    if (this.#users.size >= this.#options.users) {
      key = 'several'
      user = this.#users.get(key)
      if (user !== undefined) return user
    }
    user = new Map()
    this.#users.set(key, user)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#end(key)
    }, this.#options.window).unref()
    this.#timers.add(timer)
    return user
  }

  #end(key: string): void {
    const user = this.#users.get(key) ?? new Map<string, Kind>()
    this.#users.delete(key)
    this.#kinds -= user.size
    for (const kind of user.values()) if (kind.record !== undefined) this.#write(kind.record)
  }

  /** Writes what was counted so far. */
  flush(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    for (const key of [...this.#users.keys()]) this.#end(key)
  }
}

/** What a refusal has in common with its repetitions. Names hold no control characters. */
function kindOf(record: AuditRecord): string {
  const { event, code, tool, module, target, principal, resource, uri, prompt } = record as AuditRecord &
    Readonly<Record<string, unknown>>
  return [event, code, tool, module, target, principal, resource, uri, prompt].join('\u0000')
}

function add(kind: Kind, record: AuditRecord): void {
  const { count = 1, since = record.at } = record
  if (kind.record === undefined) {
    kind.record = record
    kind.count = count
    kind.since = since
    return
  }
  kind.count += count
  kind.record = Object.freeze(merged(kind.record, record, kind))
}

/** One record for both: what differs is left out. */
function merged(one: AuditRecord, other: AuditRecord, { count, since }: Kind): AuditRecord {
  const both: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(other)) {
    const before: unknown = (one as unknown as Readonly<Record<string, unknown>>)[name]
    both[name] = isSame(before, value) ? value : SEVERAL[name]
  }
  const { event, at, durationMs } = other
  const outcome = (other as { outcome?: unknown }).outcome
  return { ...both, event, outcome, at, durationMs, count, since } as unknown as AuditRecord
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (one === null || typeof one !== 'object' || other === null || typeof other !== 'object') return false
  return JSON.stringify(one) === JSON.stringify(other)
}
