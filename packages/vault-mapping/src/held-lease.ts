import type { ReleaseReason, Retention } from '@mcp-delegation/core'
import type { Engine } from './engine.ts'
import { startTimer } from './long-timer.ts'
import { graceOf, renewalDelay, retryDelay } from './renewal-schedule.ts'
import type { EngineLease } from './sources/source.ts'
import type { HeldToken } from './tokens.ts'
import { VaultError } from './vault-error.ts'

/** Of what was asked for, in renewals: what rounding may take. */
const FULL = 0.9

/**
 * A lease of a secrets engine and the token that it was made with: it is renewed while it is needed, and revoked once. An
 * answer to a renewal that comes after its end changes nothing.
 */
export class HeldLease {
  readonly #engine: Engine
  readonly #held: HeldToken
  readonly #id: string
  readonly #duration: number
  /** Of what is left at the latest renewal: the token may end sooner than the lease. */
  #grace: number
  #expiresAt: number
  /** When it ends at the latest: it counts from some moment before the answer, and that of a renewal may have been lost. */
  #endsBy: number
  #renewable: boolean
  #state: 'live' | 'dead' | 'ended' = 'live'
  #failures = 0
  #retention: Retention | undefined
  #cancel = (): void => {}

  constructor(lease: EngineLease, held: HeldToken, engine: Engine) {
    this.#engine = engine
    this.#held = held
    this.#id = lease.id
    this.#duration = lease.duration
    this.#expiresAt = lease.expiresAt
    this.#endsBy = engine.clock.now() + lease.duration
    this.#renewable = lease.renewable
    this.#grace = graceOf(this.expiresAt - engine.clock.now())
  }

  /** When the server ends it: with its time, or with the token. Milliseconds since the epoch. */
  get expiresAt(): number {
    return Math.min(this.#expiresAt, this.#held.token.expiresAt)
  }

  /** Whether the server still has it, as far as is known here. */
  get isLive(): boolean {
    return this.#state === 'live' && !this.#held.token.isDead && this.#engine.clock.now() < this.expiresAt
  }

  /** From now on it is renewed, while a live session is served with it. */
  renewFor(retention: Retention): void {
    this.#retention = retention
    if (this.#isExtensible) this.#schedule()
  }

  /** Ends it at the server: by itself, or with its token. Resolves when that is done, or is going to be tried again. */
  async end(reason: ReleaseReason): Promise<void> {
    if (this.#state === 'ended') return
    const { clock, isPersonal, log, revocations } = this.#engine
    const { token } = this.#held
    const isOver = this.#state === 'dead' || token.isOver || clock.now() >= this.#endsBy
    this.#state = 'ended'
    this.#cancel()
    // Whatever else still holds it: the user was blocked, and so is what was logged in for them.
    if (isPersonal && (reason === 'revoked' || reason === 'disposed')) void token.retire()
    if (isOver) return this.#held.end()
    // A token that is going to be revoked takes its leases with it.
    const goesWithToken = token.holds === 1 && !token.isBatch && token.isRetired
    if (goesWithToken || !(await this.#engine.revokesLeases(token))) {
      if (!goesWithToken && !isPersonal)
        log.warn(
          {},
          'a lease could not be revoked: the policy of this server does not allow it, so it ends at its time',
        )
      void token.retire()
      return this.#held.end()
    }
    const endsBy = (): number => this.#endsBy
    await revocations.carryOut({
      // Later, where a renewal is still under way.
      get until() {
        return endsBy()
      },
      attempt: (signal) => this.#revoke(signal),
      // Not sooner: where it is tried again later, the token is needed for that.
      settled: () => this.#held.end(),
    })
  }

  async #revoke(signal: AbortSignal): Promise<void> {
    const { token } = this.#held
    try {
      await this.#engine.send('sys/leases/revoke', { lease_id: this.#id, sync: true }, token, signal)
    } catch (error) {
      if (!(error instanceof VaultError) || error.status !== 403) throw error
      if (await token.askWhetherDead()) return
      this.#engine.cannotRevokeLeases(error)
      void token.retire()
    }
  }

  #schedule(delay = renewalDelay(this.expiresAt - this.#engine.clock.now(), this.#grace)): void {
    this.#cancel()
    if (delay !== undefined && this.#state === 'live') this.#cancel = startTimer(delay, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#engine
    // Nobody is served now: somebody may come until it ends.
    if (!this.#isNeeded) {
      if (this.isLive) this.#schedule(this.#grace / 2)
      return
    }
    try {
      await this.#extend()
      this.#failures = 0
      // What ended meanwhile stays ended, whatever the answer.
      if (this.#state !== 'live') return
      this.#retention?.extend(new Date(this.expiresAt))
      if (this.#isExtensible) this.#schedule()
    } catch (error) {
      if (this.#state !== 'live') return
      const isGone = error instanceof VaultError && (await this.#isGone(error))
      if (isGone === true) {
        log.warn({ err: error }, 'a lease has ended before its time')
        // With its token, it seems; that is for the end to find out.
        if (!this.#held.token.isDead) this.#state = 'dead'
        return
      }
      log.warn({ err: error }, 'a lease could not be renewed')
      if (isGone === 'denied') return
      this.#failures++
      const delay = retryDelay(this.#failures, this.expiresAt - clock.now(), this.#grace)
      if (delay !== undefined) this.#schedule(delay)
    }
  }

  /** Whether a live session is served with it. */
  get #isNeeded(): boolean {
    return this.#state === 'live' && this.#retention?.coveredUntil !== undefined
  }

  /** Whether a renewal can put its end off. */
  get #isExtensible(): boolean {
    const { token } = this.#held
    return token.expiresAt < this.#expiresAt ? token.isRenewable : this.#renewable
  }

  /** Renews it, its token first where that would end sooner. */
  async #extend(): Promise<void> {
    const { clock, log } = this.#engine
    const { token } = this.#held
    try {
      await token.extend(clock.now() + this.#duration)
    } catch (error) {
      // At its maximum a token answers 500. The lease can still be renewed up to its end.
      if (!(error instanceof VaultError) || (error.status ?? 0) < 500) throw error
      log.debug({ err: error }, 'a token could not be renewed')
    }
    // Meanwhile it may have ended, or its last session left.
    if (this.#renewable && this.#isNeeded) await this.#renewLease()
    this.#grace = graceOf(this.expiresAt - clock.now())
  }

  async #renewLease(): Promise<void> {
    const { clock } = this.#engine
    const body = { lease_id: this.#id, increment: Math.ceil(this.#duration / 1000) }
    const granted = (): number => Math.max(this.#endsBy, clock.now() + this.#duration)
    const former = this.#endsBy
    this.#endsBy = granted()
    try {
      const { leaseDuration, renewable, sentAt } = await this.#engine.send('sys/leases/renew', body, this.#held.token)
      this.#expiresAt = sentAt + leaseDuration
      this.#endsBy = clock.now() + leaseDuration
      // Granted less than was asked for, it has met its maximum.
      this.#renewable = renewable && leaseDuration >= this.#duration * FULL
    } catch (error) {
      this.#endsBy = error instanceof VaultError && !error.uncertain ? former : granted()
      throw error
    }
  }

  /** After a renewal that failed: `true` where the lease has ended, `denied` where asking again can't help. */
  async #isGone(error: VaultError): Promise<boolean | 'denied'> {
    const { token } = this.#held
    try {
      if (error.status === 403) return (await token.askWhetherDead()) || 'denied'
      if (error.status !== 400 && error.status !== 404) return false
      // A backend that is down is a 400 too.
      await this.#engine.send('sys/leases/lookup', { lease_id: this.#id }, token)
      return false
    } catch (failure) {
      return failure instanceof VaultError && (failure.status === 400 || failure.status === 404)
    }
  }
}
