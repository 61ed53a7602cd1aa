import type { Clock, Secret } from '@mcp-delegation/core'
import type { VaultAuth } from './envelope.ts'
import type { VaultClient } from './vault-client.ts'
import { VaultError } from './vault-error.ts'

/** What a token is made with. */
export interface VaultTokenOptions {
  readonly auth: VaultAuth
  readonly client: VaultClient
  readonly clock: Clock
  /** Requests that nobody can abort any more still end with this. */
  readonly signal: AbortSignal
  /** Whether it is this server's alone: nobody else renews it. */
  readonly owned: boolean
  /** Called once, when nothing depends on the token any more and it is not for use: it may still be valid. */
  readonly finish: (token: VaultToken) => Promise<void>
}

/** Of what was asked for: a renewal that was granted less has met the token's maximum. */
const FULL = 0.9

/**
 * A token that Vault gave to a login, and what depends on it: leases that were made with it end with it, and what is being
 * asked for with it. It is given up as a whole: retired, it makes nothing new, and when the last that depends on it has
 * ended, it is revoked, and with it whatever it made that nobody knows of.
 */
export class VaultToken {
  readonly secret: Secret<string>
  readonly #options: VaultTokenOptions
  readonly #lifetime: number
  #expiresAt: number
  /** Where the answer to a renewal was lost, or somebody else renews it: when it ends at the latest. */
  #endsBy: number
  #renewable: boolean
  #holds = 0
  #state: 'live' | 'retired' | 'dead' = 'live'
  #idleSince: number
  #finished = false
  #renewing: Promise<void> | undefined
  #lookingUp: Promise<boolean> | undefined

  constructor(options: VaultTokenOptions) {
    const { auth, clock, owned } = options
    this.#options = options
    this.secret = auth.token
    this.#expiresAt = auth.expiresAt
    this.#endsBy = owned ? auth.expiresAt : Number.POSITIVE_INFINITY
    this.#renewable = auth.renewable
    this.#lifetime = auth.expiresAt - clock.now()
    this.#idleSince = clock.now()
  }

  /** When it ends, and all leases with it, in milliseconds since the epoch. */
  get expiresAt(): number {
    return this.#expiresAt
  }

  /** From when Vault has certainly ended it, in milliseconds since the epoch: later than `expiresAt` where that is in doubt. */
  get endsBy(): number {
    return this.#endsBy
  }

  /** Vault does not know it any more, or may not. */
  get isDead(): boolean {
    return this.#state === 'dead' || this.#options.clock.now() >= this.#expiresAt
  }

  /**
   * Its time is over: nothing is to be ended. Not where Vault said that it is dead: it says the same of a token that may not
   * look itself up.
   */
  get isOver(): boolean {
    return this.#options.clock.now() >= this.#endsBy
  }

  /** Whether it can't be revoked: what was made with it has to be ended for itself. */
  get isBatch(): boolean {
    return this.#options.auth.batch
  }

  /** Whether a renewal can put its end off. */
  get isRenewable(): boolean {
    return this.#renewable
  }

  get isRetired(): boolean {
    return this.#state === 'retired'
  }

  /** How many depend on it. */
  get holds(): number {
    return this.#holds
  }

  /** Since when nobody depends on it; only of interest while nobody does. */
  get idleSince(): number {
    return this.#idleSince
  }

  /** Whether something new may be made with it: in the last third of its life, leases would be short. */
  get isFresh(): boolean {
    if (this.#state !== 'live') return false
    const left = this.#expiresAt - this.#options.clock.now()
    return left > this.#lifetime / 3 || left === Number.POSITIVE_INFINITY
  }

  /** Keeps it from being given up, until the function that this returns is called; once. */
  hold(): () => Promise<void> {
    this.#holds++
    let ended = false
    return () => {
      if (ended) return Promise.resolve()
      ended = true
      if (this.#holds > 0) this.#holds--
      this.#idleSince = this.#options.clock.now()
      return this.#finishUnused()
    }
  }

  /** Nothing new is made with it; resolves when it was given up, where nothing depends on it. */
  retire(): Promise<void> {
    if (this.#state === 'live') this.#state = 'retired'
    return this.#finishUnused()
  }

  /** Gives it up now, and with it all that depends on it. */
  async giveUp(): Promise<void> {
    if (this.#state === 'live') this.#state = 'retired'
    this.#holds = 0
    await this.#finishUnused()
  }

  /** Vault said so. */
  declareDead(): void {
    this.#state = 'dead'
    void this.#finishUnused()
  }

  /**
   * After a 403, asks whether the token is dead, or only not allowed what was asked. Rejects with a `VaultError` where
   * Vault can't say.
   */
  async askWhetherDead(): Promise<boolean> {
    // The answer to somebody else's question may be older than this one.
    if (!this.isDead && this.#lookingUp !== undefined) await this.#lookingUp
    if (this.isDead) return true
    this.#lookingUp ??= this.#lookUp().finally(() => {
      this.#lookingUp = undefined
    })
    return this.#lookingUp
  }

  /** Renews it where it would end before `until` and can be renewed. Rejects with a `VaultError`. */
  extend(until: number): Promise<void> {
    if (!this.#renewable || this.isDead || this.#expiresAt >= until) return Promise.resolve()
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #lookUp(): Promise<boolean> {
    const { client, signal } = this.#options
    try {
      await client.request(
        { method: 'GET', path: 'auth/token/lookup-self', token: this.secret, retry: true },
        { signal },
      )
      return false
    } catch (error) {
      if (!(error instanceof VaultError) || error.status !== 403) throw error
      this.declareDead()
      return true
    }
  }

  async #renew(): Promise<void> {
    const { client, clock, owned, signal } = this.#options
    const increment = Math.ceil(this.#lifetime / 1000)
    const granted = (): number => Math.max(this.#endsBy, clock.now() + increment * 1000)
    const former = this.#endsBy
    this.#endsBy = granted()
    try {
      const { auth, sentAt } = await client.request(
        { method: 'POST', path: 'auth/token/renew-self', token: this.secret, body: { increment }, retry: false },
        { signal },
      )
      if (auth === undefined)
        throw new VaultError('malformed', 'a renewed token came without its new end', { uncertain: true })
      this.#renewable = auth.renewable && auth.expiresAt - sentAt >= this.#lifetime * FULL
      // Also where that is sooner: the server ends it then.
      this.#expiresAt = auth.expiresAt
      if (owned) this.#endsBy = auth.expiresAt
    } catch (error) {
      this.#endsBy = error instanceof VaultError && !error.uncertain ? former : granted()
      throw error
    }
  }

  async #finishUnused(): Promise<void> {
    if (this.#holds > 0 || this.#state === 'live' || this.#finished) return
    this.#finished = true
    await this.#options.finish(this)
  }
}
