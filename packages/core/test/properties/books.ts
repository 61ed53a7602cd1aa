import type { AuditRecord } from '../../src/audit.ts'
import type { Credential } from '../../src/lease.ts'
import type { ReleaseReason } from '../../src/module.ts'
import type { Member, Person, Token } from './people.ts'
import type { Settlement } from './schedule.ts'

/** What an issued credential is, in these tests. */
export interface Value {
  readonly n: number
}

/** One call of `delegate`. */
export interface Call {
  readonly tool: string
  readonly token: Token
  readonly place: string
  readonly request: number
  readonly startedIn: number
  readonly startedAt: number
  readonly clockAtStart: number
  readonly controller: AbortController
  state: 'pending' | 'served' | 'failed'
  endedIn: number | undefined
  lease: Credential<Value> | undefined
  disposed: boolean
  credential: Issued | undefined
  /** What its record says was issued for it. */
  announces: Issued | undefined
  error: unknown
  /** How many calls of the same user for the same module were under way when it began. */
  readonly crowd: number
  /** Whether the policy refused when the call began. */
  readonly forbidden: boolean
  /** What happened to the caller while the call was under way: it explains a refusal. */
  readonly met: Set<'abort' | 'block' | 'end' | 'expiry' | 'forbid' | 'close' | 'sink'>
  /** The credential that this call has to be served from. */
  readonly mustHit: Issued | undefined
}

/** One run of a module's `issue`. */
export interface Issue {
  readonly n: number
  readonly member: Member
  readonly token: Token
  readonly request: number
  readonly key: string
  readonly signal: AbortSignal
  readonly startedIn: number
  /** Nobody waited when it began, or nobody had to: a refresh. */
  readonly unasked: boolean
  abortedAt: number | undefined
  settled: boolean
  settle(how: Settlement): void
}

/** What a module handed to the registry. */
export interface Issued {
  readonly n: number
  readonly issue: Issue
  /** Whether the registry was to keep it: it was good, and somebody still waited. */
  readonly good: boolean
  readonly expiresAt: number
  readonly arrivedIn: number
  readonly arrivedAt: number
  readonly hangs: boolean
  readonly releases: { readonly reason: ReleaseReason; readonly at: number; readonly openLeases: readonly Call[] }[]
  readonly served: Call[]
  /** Whether it is known to be in the cache. */
  sure: boolean
  /** When a tool said that the backend refused it, and the registry dropped it. */
  invalidatedIn: number | undefined
  /** When the record of its issue was refused by the sink. */
  unrecordedIn: number | undefined
  /** Since when, without a break, nothing has been a reason to keep it. */
  overdueSince: number | undefined
}

/** A definite or passing answer of a module to one key. */
export interface Answer {
  readonly key: string
  readonly person: Person
  readonly code: string
  readonly givenIn: number
  readonly clockAt: number
  forgottenIn: number | undefined
}

/** One call of the audit sink. */
export interface SinkCall {
  readonly record: AuditRecord
  state: 'accepted' | 'refused' | 'held'
  answer(accepted: boolean): void
}

/** When every schedule begins. */
export const START: number = Date.parse('2030-01-01T00:00:00Z')
/** The registry's default: for an issue, a record and a release. */
export const DEADLINE = 10_000
/** How many issues of one user run at once. */
export const PER_USER = 2
/** How long a forgotten lease delays a release. */
export const LEASE_GRACE = 60_000
/** How long a credential outlives the last session that covers it. */
export const COVER_GRACE = 60_000
/** How long an issue that ignores its abort keeps its place. */
export const STUCK = 60_000

/** Told of what happens at the moment at which it happens. */
export interface Observer {
  issueStarted(issue: Issue): void
  served(call: Call, lease: Credential<Value>): void
  failed(call: Call, error: unknown): void
  released(issued: Issued): void
}
