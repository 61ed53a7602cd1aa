import type { AuditSink, OtherRecord } from './audit.ts'
import type { BlockTarget, LoginSession, Standing } from './blocks.ts'
import { type DelegateOptions, Dispatcher } from './dispatcher.ts'
import { DelegationError } from './errors.ts'
import type { Credential } from './lease.ts'
import { type Registered, registerModules } from './member.ts'
import type { InputOf, ModuleMap, ValueOf } from './module.ts'
import { type CheckedOptions, checkOptions, type RegistryOptions } from './options.ts'
import { askPolicy, checkLimit } from './order.ts'
import { checkAll, describe, type ModuleStats, statsOf } from './overview.ts'
import { type Decision, decideOperation, type OperationKind } from './policy.ts'
import { Recorder } from './recorder.ts'
import { type Cover, type Identity, identityKey, type Session, snapshotOf } from './session.ts'
import { standingOf } from './standing.ts'
import { isCleanText } from './text.ts'
import { within } from './within.ts'

/**
 * Obtains a credential of the session's user, from the cache or from the module registered under `name`. Every call is
 * recorded in audit before the credential is handed out.
 * @throws DelegationError with any code but `ERR_TOOL_DENIED`; `signal.reason` where `signal` aborts first.
 */
export type Delegate<M extends ModuleMap> = <Name extends keyof M & string>(
  name: Name,
  session: Session,
  request: InputOf<M[Name]>,
  options?: DelegateOptions,
) => Promise<Credential<ValueOf<M[Name]>>>

const DAY = 86_400_000
/** The latest instant that a `Date` can hold. */
const END_OF_TIME = 8.64e15

interface Ban {
  readonly who: BlockTarget
  readonly until: Date | undefined
}

/** Whom an administrator's act is about. */
type Ended = Partial<Session> & { readonly sid?: string | undefined }

/** Turns sessions into credentials of their users: dispatches to modules, caches, audits. */
export class DelegationRegistry<const M extends ModuleMap> implements AsyncDisposable {
  readonly delegate: Delegate<M>
  /** For adapters: accepts a record as `delegate` does; throws or rejects with `ERR_AUDIT_FAILED`. */
  readonly audit: AuditSink
  readonly #options: CheckedOptions
  readonly #registered: ReadonlyMap<string, Registered>
  readonly #recorder: Recorder
  readonly #dispatcher: Dispatcher
  #disposed: Promise<void> | undefined

  /** @throws TypeError naming the option that is wrong. */
  constructor(options: RegistryOptions<M>) {
    const checked = checkOptions(options)
    this.#options = checked
    this.#registered = registerModules(checked.modules, checked)
    this.#recorder = new Recorder(checked.audit, checked.clock, checked.log, checked.deadline)
    this.#dispatcher = new Dispatcher(checked, this.#registered, this.#recorder)
    this.audit = (record) => this.#recorder.accept(record)
    this.delegate = ((name: string, session: unknown, request: unknown, call?: DelegateOptions) =>
      this.#dispatcher.delegate(name, session, request, call)) as Delegate<M>
  }

  /** For adapters: the policy's answer for a tool, a resource or a prompt; refuses what is not a session. */
  decide(session: Session, name: string, kind: OperationKind = 'tool'): Decision {
    const snapshot = snapshotOf(session)
    if (snapshot === undefined) return { allowed: false, reason: 'the session is not valid' }
    return askPolicy(this.#options, (policy) => decideOperation(policy, snapshot.session, kind, name))
  }

  /**
   * For adapters: counts a call that is about to run. To be asked once for each call, after `decide`.
   * @throws DelegationError `ERR_RATE_LIMITED` where this is one call too many, `ERR_TOOL_DENIED` where the policy fails,
   * `ERR_SESSION_INVALID` for what is not a session.
   */
  count(session: Session, name: string, kind: OperationKind = 'tool'): void {
    const snapshot = snapshotOf(session)
    if (snapshot === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the session is not valid')
    checkLimit(this.#options, snapshot.session, kind, name)
  }

  /**
   * Whether this session may be served. What is not a session is `ended`.
   * @throws DelegationError `ERR_DELEGATION_UNAVAILABLE` where the block store can't tell.
   */
  standing(session: Session): Standing {
    const snapshot = snapshotOf(session)
    return snapshot === undefined ? 'ended' : standingOf(this.#options, snapshot)
  }

  /**
   * Refuses an identity from now on, whatever token it brings: drops and releases its credentials at once and cancels
   * what is being issued. Lasts until `until`, or until `unblock`. Rejects with `ERR_DELEGATION_UNAVAILABLE` where the
   * block store fails; the credentials are released even then.
   * @throws TypeError for a malformed identity or date.
   */
  async block(
    who: Identity,
    options: { readonly until?: Date | undefined } = {},
  ): Promise<{ readonly credentials: number }> {
    const { issuer, subject } = checkIdentity(who)
    const identity = identityKey({ issuer, subject })
    const { until } = options
    if (until !== undefined && !(until instanceof Date && !Number.isNaN(until.getTime())))
      throw new TypeError('"until" must be a valid date')
    return await this.#end('block', { issuer, subject }, [{ who: { issuer, subject }, until }], () =>
      this.#dispatcher.revoke(identity),
    )
  }

  /** Lifts a block. @throws TypeError for a malformed identity. */
  async unblock(who: Identity): Promise<void> {
    const { issuer, subject } = checkIdentity(who)
    const error = await this.#store(async () => this.#options.blocks.unblock({ issuer, subject }))
    if (error === undefined) this.#dispatcher.forgetRefusals(identityKey({ issuer, subject }))
    await this.#note('unblock', { issuer, subject }, 0, error)
    if (error !== undefined) throw error
  }

  /**
   * Refuses one token, or every token of a login session, from now on. Given a session, it ends that token and, where
   * the token names one (`sid`), its login session at its issuer. What no other live session covers is released at once.
   * @throws TypeError for anything else.
   */
  async endSession(which: Session | LoginSession | { readonly id: string }): Promise<{ readonly credentials: number }> {
    const snapshot = snapshotOf(which)
    const asked: object = snapshot?.cover ?? which ?? {}
    const { id, sid, issuer } = asked as { readonly id?: string; readonly sid?: string; readonly issuer?: string }
    const targets: Ban[] = []
    // A token can't come back after its own end; others of its login session can.
    const until = snapshot && new Date(Math.min(snapshot.cover.expiresAt + DAY, END_OF_TIME))
    if (isCleanText(id, 255)) targets.push({ who: { id }, until })
    if (isCleanText(sid, 255) && (issuer === undefined || isCleanText(issuer, 255)))
      targets.push({ who: { sid, issuer }, until: undefined })
    if (targets.length === 0) throw new TypeError('"which" must be a session, { sid, issuer } or { id }')
    const matches = (cover: Cover): boolean =>
      cover.id === id || (sid !== undefined && cover.sid === sid && (issuer === undefined || cover.issuer === issuer))
    if (snapshot !== undefined) snapshot.cover.ended = true
    const who = snapshot?.session ?? { ...targets[0]?.who }
    return await this.#end('end-session', { ...who, sid }, targets, () => this.#dispatcher.endSessions(matches))
  }

  /**
   * Asks every module whether it can serve; answers with the error of each that can't.
   * Rejects with `signal.reason` where `signal` aborts first.
   */
  async check(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Readonly<Record<keyof M & string, DelegationError | undefined>>> {
    return (await checkAll(this.#registered.values(), this.#options.deadline, options.signal)) as never
  }

  /** Counts by registered name. */
  stats(): Readonly<Record<keyof M & string, ModuleStats>> {
    return statsOf(this.#registered.values()) as never
  }

  /** What is configured, as text for an operator to read at start-up. */
  describe(): string {
    return describe(this.#registered.values(), this.#options)
  }

  /** Cancels what is being issued, releases every credential and disposes the modules. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispatcher.dispose()
    return this.#disposed
  }

  async #end(
    event: OtherRecord['event'],
    who: Ended,
    targets: readonly Ban[],
    purge: () => number,
  ): Promise<{ readonly credentials: number }> {
    const storing = this.#store(() =>
      Promise.all(targets.map(async (ban) => this.#options.blocks.block(ban.who, ban.until))),
    )
    let credentials = purge()
    const error = await storing
    // Again, for what came while the store wrote.
    credentials += purge()
    await this.#note(event, who, credentials, error)
    if (error !== undefined) throw error
    return { credentials }
  }

  /** Resolves with the error where the store fails or does not answer in time. */
  async #store(write: () => Promise<unknown>): Promise<DelegationError | undefined> {
    try {
      await within(this.#options.deadline, undefined, write)
      return undefined
    } catch (cause) {
      return new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the block store failed', { cause })
    }
  }

  async #note(
    event: OtherRecord['event'],
    { sid, ...who }: Ended,
    credentials: number,
    error: DelegationError | undefined,
  ): Promise<void> {
    await this.#recorder.note({ event, credentials, sid, ...this.#recorder.base(who, undefined, 0, error) })
  }
}

function checkIdentity(who: Identity): Identity {
  if (!isCleanText(who?.issuer, 255)) throw new TypeError('"who.issuer" must be a string of 1 to 255 bytes')
  if (!isCleanText(who.subject, 255)) throw new TypeError('"who.subject" must be a string of 1 to 255 bytes')
  return who
}
