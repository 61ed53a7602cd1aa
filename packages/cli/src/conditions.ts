import type { AuditRecord } from '@mcp-delegation/core'
import type { RecordEntry } from './entry.ts'
import { instantOf } from './instants.ts'
import { UsageError } from './usage.ts'

/** The conditions that name a value, and the field of a record that has to have it. */
const FIELDS = {
  event: 'event',
  outcome: 'outcome',
  issuer: 'issuer',
  subject: 'subject',
  session: 'sessionId',
  tool: 'tool',
  resource: 'resource',
  prompt: 'prompt',
  module: 'module',
  target: 'target',
  principal: 'principal',
  code: 'code',
}
type Name = keyof typeof FIELDS
const NAMES = Object.keys(FIELDS) as readonly Name[]

/** What the writer of records has words for: another word would find nothing, and look as if nothing had happened. */
const EVENTS: Readonly<Record<AuditRecord['event'], true>> = {
  delegation: true,
  refresh: true,
  tool: true,
  resource: true,
  prompt: true,
  authentication: true,
  export: true,
  block: true,
  unblock: true,
  'end-session': true,
}
const OUTCOMES: Readonly<Record<Extract<AuditRecord, { readonly outcome: unknown }>['outcome'], true>> = {
  issued: true,
  reused: true,
  refused: true,
  failed: true,
  aborted: true,
  ok: true,
  denied: true,
  exported: true,
}

/** What the caller said: of one condition any value, and of several conditions all. */
export type Conditions = { readonly [Condition in Name]?: readonly string[] | undefined } & {
  readonly since?: string | undefined
  readonly until?: string | undefined
}

interface Several {
  readonly type: 'string'
  readonly multiple: true
}
const several = Object.fromEntries(NAMES.map((name) => [name, { type: 'string', multiple: true }]))

/** The options that conditions are given in, as `parseArgs` takes them. */
export const CONDITIONS: Readonly<Record<Name, Several> & Record<'since' | 'until', { readonly type: 'string' }>> = {
  ...(several as Record<Name, Several>),
  since: { type: 'string' },
  until: { type: 'string' },
}

/**
 * Whether a record is meant. One that stands for several refusals is, where one of them may have been in the time.
 * @throws UsageError where `since` or `until` is no time, and where there is no such event or outcome.
 */
export function matching(conditions: Conditions, now: number): (entry: RecordEntry) => boolean {
  const from = timeOf('since', conditions.since, now) ?? Number.NEGATIVE_INFINITY
  const to = timeOf('until', conditions.until, now) ?? Number.POSITIVE_INFINITY
  checkWords('event', conditions.event, EVENTS)
  checkWords('outcome', conditions.outcome, OUTCOMES)
  const wanted = NAMES.flatMap((name) => {
    const values = conditions[name]
    return values === undefined ? [] : [{ field: FIELDS[name], values: new Set<unknown>(values) }]
  })
  return ({ at, fields }) => {
    const first = typeof fields['since'] === 'string' ? Date.parse(fields['since']) : at
    if (at < from || first > to) return false
    return wanted.every(({ field, values }) => values.has(fields[field]))
  }
}

function checkWords(name: string, given: readonly string[] | undefined, known: Readonly<Record<string, true>>): void {
  const unknown = given?.find((word) => !Object.hasOwn(known, word))
  if (unknown !== undefined)
    throw new UsageError(`--${name} must be one of ${Object.keys(known).join(', ')}, not '${unknown}'`)
}

function timeOf(name: string, value: string | undefined, now: number): number | undefined {
  const at = value === undefined ? undefined : instantOf(value, now)
  if (at !== undefined || value === undefined) return at
  throw new UsageError(
    `--${name} must be an instant such as 2026-01-31T10:00:00Z, a day, or a duration such as 2h, not '${value}'`,
  )
}
