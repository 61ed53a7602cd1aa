import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'
import { DelegationError, type DelegationErrorCode } from './errors.ts'

interface Refusal {
  readonly identity: string
  readonly error: DelegationError
  readonly until: number
}

/** The answers that are definite; an outage is never remembered. */
const DEFINITE: ReadonlySet<DelegationErrorCode> = new Set(['ERR_DELEGATION_NO_IDENTITY', 'ERR_DELEGATION_DENIED'])
const MAX_AGE = 10_000

/** Definite refusals of modules, for ten seconds, so that a backend is not asked the same in vain again and again. */
export class NegativeCache {
  readonly #refusals: LRUCache<string, Refusal>
  readonly #clock: Clock

  constructor(max: number, clock: Clock) {
    this.#refusals = new LRUCache({ max })
    this.#clock = clock
  }

  /** A copy of the error that this key was refused with. */
  get(key: string): DelegationError | undefined {
    if (this.#refusals.size === 0) return undefined
    const refusal = this.#refusals.get(key)
    if (refusal === undefined) return undefined
    const left = refusal.until - this.#clock.now()
    if (left > 0 && left <= MAX_AGE) {
      const { code, message } = refusal.error
      return new DelegationError(code, message, { cause: refusal.error })
    }
    this.#refusals.delete(key)
    return undefined
  }

  /** Remembers `error` where it is definite. */
  add(key: string, identity: string, error: DelegationError): void {
    if (!DEFINITE.has(error.code)) return
    this.#refusals.set(key, { identity, error, until: this.#clock.now() + MAX_AGE })
  }

  /** Forgets what an identity was refused. */
  clear(identity: string): void {
    for (const [key, refusal] of this.#refusals.entries()) if (refusal.identity === identity) this.#refusals.delete(key)
  }
}
