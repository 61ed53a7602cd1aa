import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Clock } from './clock.ts'
import type { Loan } from './loan.ts'
import type { Logger } from './log.ts'
import type { Identity, Session } from './session.ts'

/**
 * Turns a session into a credential for one kind of backend. A module returns data; the registry owns caching,
 * deadlines, audit and expiry.
 */
export interface DelegationModule<Request, Value, Input = Request> {
  /** The kind of module, for audit and policy: `kerberos`, `vault`, `service-account`. */
  readonly type: string
  /** Validates a request synchronously. Its output must be plain JSON: it is part of the cache key. */
  readonly request: StandardSchemaV1<Input, Request>
  /** Who may be served from one issued credential: every token of the user with the same rights, one token, or nobody. */
  readonly reuse: 'user' | 'token' | 'never'
  /** How long an issued credential is cached, in milliseconds. Default: the registry's `cache.maxAge`. */
  readonly maxAge?: number | undefined
  /** How long an issue may take, queueing included, in milliseconds. Default: the registry's `deadline`. */
  readonly deadline?: number | undefined
  /** How many issues run at once. Default: 8. */
  readonly maxConcurrent?: number | undefined
  /** How many issues may wait besides, for all users. Default: 1,000. */
  readonly maxQueued?: number | undefined
  /** The principal stands for many users (a shared account). Default: false, and a second identity is refused. */
  readonly shared?: boolean | undefined
  /** What the credential is for, as policy and audit name it. Pure and synchronous. */
  target(request: Request): string
  /**
   * Whom the credential will act as; `undefined` where the administrator's mapping has no entry for this identity.
   * Pure and synchronous. May throw a `DelegationError`: an allow rule that says no, a malformed claim.
   */
  principal(session: Session, request: Request): string | undefined
  /** Whether two identities are the same person, so that both may have one principal. Default: never. */
  linked?(a: Identity, b: Identity): boolean
  /**
   * Obtains the credential. Rejects with a `DelegationError`; anything else becomes `ERR_DELEGATION_PROTOCOL`.
   * Must stop soon after `context.signal` aborts.
   */
  issue(request: Request, context: IssueContext): Promise<IssuedCredential<Value>>
  /** Rejects where the backend can't serve now. */
  check?(options: { readonly signal: AbortSignal }): Promise<void>
  /** Called once, when the registry is disposed. */
  dispose?(): Promise<void>
}

/** What a module gets to issue with. */
export interface IssueContext {
  readonly session: Session
  /** What `principal` answered for this call. */
  readonly principal: string
  /**
   * Aborted when nobody waits any more, at the deadline, when the user is blocked or the session ended, and when the
   * registry is disposed.
   */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: Logger
}

/** Why an issued credential is given back; one that is not for reuse ends as `disposed`. */
export type ReleaseReason = 'expired' | 'evicted' | 'replaced' | 'revoked' | 'invalidated' | 'disposed' | 'aborted'

/** How the registry keeps one issued credential. */
export interface Retention {
  /**
   * When the last of the live sessions that the credential serves expires; `undefined` where it serves none any more. What
   * has to be renewed at the backend is renewed for live sessions only.
   */
  readonly coveredUntil: Date | undefined
  /**
   * The backend accepts the credential for longer than was said: until `expiresAt`. It is served no longer than the
   * module's `maxAge` allows, counted from its issue. Does nothing where that is no later, and after the release.
   */
  extend(expiresAt: Date): void
}

/** What a module hands to the registry. */
export interface IssuedCredential<Value> {
  readonly value: Value
  /** When the backend stops accepting it. */
  readonly expiresAt: Date
  /** The identity that the backend sees, where it is only known now (a dynamic database user). */
  readonly principal?: string | undefined
  /**
   * Whether it may be served again: where the answer is no, it is dropped and the next call is issued a new one.
   * Synchronous, and quick: it is asked on every hit. Default: until it expires.
   */
  readonly usable?: () => boolean
  /**
   * Makes the value for one lease, in place of `value`: for what has to end with the lease, or to be recorded under the
   * name of its holder. Synchronous; called at most once per lease, when its value is first read.
   */
  readonly lend?: (loan: Loan) => Value
  /**
   * Called once, as soon as the registry keeps the credential; not for one that came too late and is released at once. For
   * what a module renews at the backend.
   */
  readonly retained?: (retention: Retention) => void
  /** Called exactly once, when the cache has dropped the credential and its last lease has ended. */
  readonly release?: (reason: ReleaseReason, options: { readonly signal: AbortSignal }) => Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: the only top type of an invariant parameter
export type AnyModule = DelegationModule<any, unknown, any>

/** Modules that are asked in turn; the next one only where a mapping has no entry for the caller. */
export interface ModuleChain<Modules extends readonly AnyModule[]> {
  readonly firstMapped: Modules
}

/** Modules by the name under which tools ask for them. */
export type ModuleMap = Readonly<Record<string, AnyModule | ModuleChain<readonly AnyModule[]>>>

/**
 * A list for the registry to walk: it moves on at `ERR_DELEGATION_NO_IDENTITY` only. Each member keeps its own schema,
 * target, policy check and cache entry; the audit record names the member that served.
 * @throws TypeError for fewer than two modules, and for a list inside the list.
 */
export function firstMapped<const Modules extends readonly [AnyModule, AnyModule, ...AnyModule[]]>(
  ...modules: Modules
): ModuleChain<Modules> {
  if (modules.length < 2) throw new TypeError('"firstMapped" takes two modules or more')
  modules.forEach((module, index) => {
    checkModule(module, `firstMapped[${index}]`)
  })
  return Object.freeze({ firstMapped: Object.freeze([...modules]) as unknown as Modules })
}

const REUSE: ReadonlySet<unknown> = new Set(['user', 'token', 'never'])

/** @throws TypeError naming the member of `module` that is wrong. */
export function checkModule(module: AnyModule, name: string): void {
  if (module === null || typeof module !== 'object') throw new TypeError(`"${name}" must be a module`)
  const wrong = (member: string, must: string): TypeError => new TypeError(`"${name}.${member}" must be ${must}`)
  if (typeof module.type !== 'string' || !/^[a-z][a-z0-9-]{0,63}$/.test(module.type))
    throw wrong('type', 'lower-case letters, digits and hyphens')
  if (typeof module.request?.['~standard']?.validate !== 'function') throw wrong('request', 'a Standard Schema')
  if (!REUSE.has(module.reuse)) throw wrong('reuse', "'user', 'token' or 'never'")
  for (const member of ['target', 'principal', 'issue'] as const)
    if (typeof module[member] !== 'function') throw wrong(member, 'a function')
  for (const member of ['linked', 'check', 'dispose'] as const)
    if (module[member] !== undefined && typeof module[member] !== 'function') throw wrong(member, 'a function')
  if (module.shared !== undefined && typeof module.shared !== 'boolean') throw wrong('shared', 'a boolean')
  for (const member of ['maxAge', 'deadline'] as const)
    if (module[member] !== undefined) checkDuration(module[member], `${name}.${member}`)
  for (const member of ['maxConcurrent', 'maxQueued'] as const)
    if (module[member] !== undefined && !(Number.isSafeInteger(module[member]) && module[member] >= 1))
      throw wrong(member, 'a positive integer')
}

/** The longest delay that a timer keeps, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1

/** @throws TypeError naming `option` unless it is a number of milliseconds that a timer can keep. */
export function checkDuration(value: unknown, option: string): asserts value is number {
  if (typeof value !== 'number' || !(value >= 1 && value <= MAX_DELAY))
    throw new TypeError(`"${option}" must be a number of milliseconds from 1 to ${MAX_DELAY}`)
}

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (all: infer I) => void ? I : never
type OneInput<M> = M extends DelegationModule<infer _R, unknown, infer I> ? I : never
// biome-ignore lint/suspicious/noExplicitAny: as above
type OneValue<M> = M extends DelegationModule<any, infer V, any> ? V : never

/** What `delegate` takes for a module, or for a list: the intersection. */
export type InputOf<M> = M extends ModuleChain<infer Ms> ? Intersection<OneInput<Ms[number]>> : OneInput<M>
/** What `delegate` returns for a module, or for a list: the union. */
export type ValueOf<M> = M extends ModuleChain<infer Ms> ? OneValue<Ms[number]> : OneValue<M>
