import { Attempt } from './attempt.ts'
import { CredentialCache, type Entry } from './credential-cache.ts'
import { DelegationError, type DelegationErrorCode, isDelegationError } from './errors.ts'
import { issue, toDelegationError } from './issue.ts'
import type { Lease } from './lease.ts'
import type { Registered } from './member.ts'
import type { IssuedCredential } from './module.ts'
import { NegativeCache } from './negative-cache.ts'
import type { CheckedOptions } from './options.ts'
import { type Order, prepare } from './order.ts'
import type { Recorder } from './recorder.ts'
import { type Cover, type SessionSnapshot, snapshotOf } from './session.ts'
import { SingleFlight } from './single-flight.ts'
import { admit, blocked, ended } from './standing.ts'
import { withSpan } from './telemetry.ts'
import { within } from './within.ts'

/** Options of one call of `delegate`. */
export interface DelegateOptions {
  /** Aborts this call; an issue that others wait for goes on. */
  readonly signal?: AbortSignal | undefined
  /** The tool on whose behalf the credential is asked for, for policy and audit. */
  readonly tool?: string | undefined
}

/** The session on whose behalf a run was to begin may not be served any more. Others may be waiting for it too. */
class OwnerGone extends Error {
  readonly refusal: DelegationError
  constructor(refusal: DelegationError) {
    super(refusal.message)
    this.refusal = refusal
  }
}

const NEEDS_OPERATOR: ReadonlySet<DelegationErrorCode> = new Set([
  'ERR_DELEGATION_UNAVAILABLE',
  'ERR_DELEGATION_PROTOCOL',
  'ERR_AUDIT_FAILED',
])

const SWEEP_INTERVAL = 1_000
const REFRESH_RETRY = 10_000
const CACHE_LIMITS = { coverGrace: 60_000, leaseGrace: 60_000, invalidateInterval: 10_000, maxSweep: 2_000 }

/** Takes an attempt from the session to the lease: members, cache, issue, refresh. */
export class Dispatcher {
  readonly #options: CheckedOptions
  readonly #registered: ReadonlyMap<string, Registered>
  readonly #recorder: Recorder
  readonly #cache: CredentialCache
  readonly #flights: SingleFlight<SessionSnapshot, Entry, Lease>
  readonly #refusals: NegativeCache
  readonly #sweeper: NodeJS.Timeout
  #unique = 0
  #closed = false

  constructor(options: CheckedOptions, registered: ReadonlyMap<string, Registered>, recorder: Recorder) {
    const { clock, log, deadline, max, maxPerUser } = options
    this.#options = options
    this.#registered = registered
    this.#recorder = recorder
    this.#cache = new CredentialCache({ ...CACHE_LIMITS, max, maxPerUser, releaseDeadline: deadline }, clock, log)
    this.#refusals = new NegativeCache(max, clock)
    this.#flights = new SingleFlight({
      share: (entry, snapshot) => this.#cache.lease(entry, snapshot),
      shared: (entry) => this.#cache.endHold(entry),
    })
    this.#sweeper = setInterval(() => this.#cache.sweep(), SWEEP_INTERVAL).unref()
  }

  /** Cancels and releases everything of an identity, and forgets what it was refused. */
  revoke(identity: string): number {
    this.#refusals.clear(identity)
    this.#flights.cancel((owner) => owner.identity === identity, blocked())
    return this.#cache.revoke(identity)
  }

  /** Forgets what an identity was refused. */
  forgetRefusals(identity: string): void {
    this.#refusals.clear(identity)
  }

  /** Cancels what the sessions that match wait for, and releases what no other live session covers. */
  endSessions(matches: (cover: Cover) => boolean): number {
    this.#flights.cancel(({ cover }) => matches(cover), ended())
    return this.#cache.endSessions(matches)
  }

  async dispose(): Promise<void> {
    const { log, deadline } = this.#options
    this.#closed = true
    clearInterval(this.#sweeper)
    this.#flights.cancel(() => true, closed())
    const members = [...this.#registered.values()].flatMap((registered) => registered.members)
    await this.#cache.dispose()
    // What modules still issue is released when it arrives.
    const running = members.flatMap((member) => [...member.running.values()])
    await within(deadline, undefined, () => Promise.all(running)).catch(() => {})
    await this.#cache.dispose()
    await Promise.all(
      [...new Set(members.map(({ module }) => module))].map(async (module) => {
        try {
          await within(deadline, undefined, async () => module.dispose?.())
        } catch (error) {
          log.error({ err: error, type: module.type }, 'a module could not be disposed')
        }
      }),
    )
  }

  async delegate(name: string, session: unknown, request: unknown, call: DelegateOptions | undefined): Promise<Lease> {
    const signal = call?.signal
    const attempt = new Attempt('delegation', name, call?.tool)
    let lease: Lease
    try {
      const found = this.#obtain(attempt, name, session, request, signal)
      lease = found instanceof Promise ? await found : found
    } catch (error) {
      const aborted = signal?.aborted === true && error === signal.reason
      const refusal = aborted ? undefined : toDelegationError(error)
      if (refusal !== undefined) this.#tellOperator(attempt, refusal)
      await attempt.fail(this.#recorder, refusal)
      throw refusal ?? error
    }
    lease.lendWith(() => (error) => attempt.recordExport(this.#recorder, error))
    // Of those who waited for an issue, the first says so; that may be another than the one who began it.
    const issued = attempt.cache !== 'hit' && lease.announce()
    try {
      const accepted = attempt.succeed(this.#recorder, issued ? 'issued' : 'reused')
      if (accepted !== undefined) await accepted
      attempt.succeeded()
      if (accepted === undefined) return lease
      signal?.throwIfAborted()
      this.#confirm(lease, attempt.snapshot)
      return lease
    } catch (error) {
      if (isDelegationError(error) && error.code === 'ERR_AUDIT_FAILED') {
        attempt.lose(error)
        // What was issued without a record of it is not kept.
        if (issued) lease.discard()
      }
      await lease[Symbol.asyncDispose]()
      throw error
    }
  }

  #obtain(
    attempt: Attempt,
    name: string,
    session: unknown,
    request: unknown,
    signal: AbortSignal | undefined,
  ): Lease | Promise<Lease> {
    attempt.snapshot = snapshotOf(session)
    attempt.registered = this.#registered.get(name)
    if (signal !== undefined && typeof signal?.addEventListener !== 'function')
      throw new DelegationError('ERR_DELEGATION_INVALID_REQUEST', '"signal" must be an AbortSignal')
    signal?.throwIfAborted()
    const snapshot = this.#admit(attempt.snapshot)
    if (attempt.registered === undefined)
      throw new DelegationError('ERR_DELEGATION_UNKNOWN_MODULE', 'no module is registered under this name')
    return this.#walk(attempt, attempt.registered, 0, snapshot, request, signal)
  }

  /** Asks the members from `index` on, and moves on only where one has no identity for the caller. */
  #walk(
    attempt: Attempt,
    registered: Registered,
    index: number,
    snapshot: SessionSnapshot,
    request: unknown,
    signal: AbortSignal | undefined,
  ): Lease | Promise<Lease> {
    const { members, counters } = registered
    for (const [place, member] of members.entries()) {
      if (place < index) continue
      const order = prepare(this.#options, attempt, member, snapshot, request)
      if (order === undefined) continue
      const { key } = order
      if (key !== undefined) {
        const now = this.#options.clock.now()
        const entry = this.#cache.get(key, now)
        if (entry !== undefined) {
          counters.hits++
          attempt.cache = 'hit'
          attempt.principal = entry.principal
          if (now >= entry.refreshAt) this.#refresh(attempt, registered, order, entry, now)
          return this.#cache.lease(entry, snapshot)
        }
        const refusal = this.#refusals.get(key)
        if (refusal !== undefined) {
          attempt.cache = 'negative'
          if (refusal.code === 'ERR_DELEGATION_NO_IDENTITY') continue
          throw refusal
        }
      }
      counters.misses++
      return this.#miss(attempt, registered, place, order, request, signal)
    }
    throw new DelegationError('ERR_DELEGATION_NO_IDENTITY', 'no account is mapped to this user')
  }

  async #miss(
    attempt: Attempt,
    registered: Registered,
    place: number,
    order: Order,
    request: unknown,
    signal: AbortSignal | undefined,
  ): Promise<Lease> {
    const { snapshot } = order
    let lease: Lease
    try {
      attempt.cache = 'joined'
      lease = await this.#flights.run(this.#flightKey(order), snapshot, signal, (controller) => {
        attempt.cache = 'miss'
        return this.#issue(attempt, registered, order, controller)
      })
      attempt.principal = lease.principal
    } catch (error) {
      const again = error instanceof OwnerGone
      if (!again && (!isDelegationError(error) || error.code !== 'ERR_DELEGATION_NO_IDENTITY')) throw error
      attempt.principal = undefined
      signal?.throwIfAborted()
      this.#admit(snapshot)
      return this.#walk(attempt, registered, again ? place : place + 1, snapshot, request, signal)
    }
    try {
      this.#confirm(lease, snapshot)
      return lease
    } catch (error) {
      await lease[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Refreshes an entry that nears its end. The call that starts it does not wait. */
  #refresh(caller: Attempt, registered: Registered, order: Order, entry: Entry, now: number): void {
    entry.refreshAt = now + REFRESH_RETRY
    const key = this.#flightKey(order)
    if (this.#flights.has(key)) return
    const attempt = new Attempt('refresh', registered.name, caller.tool)
    attempt.cache = 'miss'
    attempt.registered = registered
    attempt.snapshot = order.snapshot
    attempt.type = caller.type
    attempt.target = caller.target
    attempt.principal = order.principal
    const refreshed = this.#flights.run(key, order.snapshot, undefined, (controller) =>
      this.#issue(attempt, registered, order, controller),
    )
    refreshed.then(
      async (fresh) => {
        fresh.announce()
        attempt.principal = fresh.principal
        void fresh[Symbol.asyncDispose]()
        try {
          await attempt.succeed(this.#recorder, 'issued')
          attempt.succeeded()
        } catch (error) {
          attempt.lose(toDelegationError(error))
          fresh.discard()
        }
      },
      async (error: unknown) => {
        const failure = error instanceof OwnerGone ? error.refusal : error
        this.#options.log.warn({ err: failure, module: registered.name }, 'a credential could not be refreshed')
        await attempt.fail(this.#recorder, toDelegationError(failure))
      },
    )
  }

  async #issue(attempt: Attempt, registered: Registered, order: Order, controller: AbortController): Promise<Entry> {
    const { member, snapshot, principal, key } = order
    const { clock, log } = this.#options
    const { module, principals } = member
    const claim = module.shared === true ? undefined : principals.claim(principal, snapshot.session, module)
    const accept = (issued: IssuedCredential<unknown>): Entry => {
      claim?.prove()
      const now = clock.now()
      const latest = now + member.maxAge
      const expiresAt = Math.min(issued.expiresAt.getTime(), latest)
      return this.#cache.add({
        key,
        type: module.type,
        principal: issued.principal ?? principal,
        issued,
        counters: registered.counters,
        expiresAt,
        latest,
        snapshot,
      })
    }
    // The session may have come to its end while it waited for a turn.
    const begin = (): void => {
      try {
        this.#admit(snapshot)
      } catch (error) {
        throw new OwnerGone(toDelegationError(error))
      }
    }
    try {
      return await issue(
        { member, snapshot, principal, key: this.#flightKey(order), request: order.request },
        controller,
        {
          clock,
          log,
          begin,
          accept,
          discard: (issued) => this.#cache.discard(issued),
          run: (work) => withSpan(attempt.span, work),
        },
      )
    } catch (error) {
      if (key !== undefined && !controller.signal.aborted && isDelegationError(error))
        this.#refusals.add(key, snapshot.identity, error)
      throw error
    } finally {
      claim?.end()
    }
  }

  /** The cause of a refusal is for the operator, and audit does not hold it. What is remembered was told before. */
  #tellOperator(attempt: Attempt, refusal: DelegationError): void {
    if (attempt.cache === 'negative') return
    const { log } = this.#options
    const { module, type, target, principal, tool } = attempt
    const level = NEEDS_OPERATOR.has(refusal.code) ? 'warn' : refusal.cause === undefined ? 'debug' : 'info'
    log[level]({ err: refusal, module, type, target, principal, tool }, 'a credential was refused')
  }

  #flightKey(order: Order): string {
    return order.key ?? `never ${++this.#unique}`
  }

  #admit(snapshot: SessionSnapshot | undefined): SessionSnapshot {
    if (this.#closed) throw closed()
    return admit(this.#options, snapshot)
  }

  /** @throws DelegationError where, meanwhile, the session or the credential has come to its end. */
  #confirm(lease: Lease, snapshot: SessionSnapshot | undefined): void {
    this.#admit(snapshot)
    lease.confirm(this.#options.clock.now())
  }
}

function closed(): DelegationError {
  return new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the registry is closed')
}
