import { setMaxListeners } from 'node:events'
import type { Surroundings } from './surroundings.ts'
import { VaultError } from './vault-error.ts'

/** Something that has to be ended at the server. */
export interface Revocation {
  /** Ends it, or rejects where that has to be tried again. */
  readonly attempt: (signal: AbortSignal) => Promise<void>
  /** Milliseconds since the epoch: from when it has ended by itself. */
  readonly until: number
  /** Called once: when it was carried out, has ended by itself, or is not tried any more. */
  readonly settled?: () => Promise<void>
}

/** The first wait after an attempt that failed, and the longest, in milliseconds. */
const BACKOFF = 1_000
const MAX_BACKOFF = 30_000
/** How many are attempted at once. */
const AT_ONCE = 8
/** How many are kept; beyond, the server ends them at their time. */
const MAX_PENDING = 100_000

/** Revocations that could not be carried out yet: they are tried again until they are, or are no longer needed. */
export class Revocations {
  readonly #surroundings: Surroundings
  readonly #controller = new AbortController()
  #pending = new Set<Revocation>()
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
    setMaxListeners(0, this.#controller.signal)
  }

  /** How many wait. */
  get size(): number {
    return this.#pending.size
  }

  /** Carries it out now, and later where that fails. Never rejects. */
  async carryOut(revocation: Revocation): Promise<void> {
    if ((await this.#attempt(revocation)) === 'done') return revocation.settled?.()
    if (this.#pending.size >= MAX_PENDING || this.#controller.signal.aborted) {
      this.#surroundings.log.error({}, 'something could not be revoked: it ends at its time')
      return revocation.settled?.()
    }
    this.#pending.add(revocation)
    this.#schedule()
  }

  /** Tries what waits once more, for at most `patience` milliseconds, and forgets the rest. */
  async drain(patience: number): Promise<void> {
    clearTimeout(this.#timer)
    const timer = setTimeout(() => this.#controller.abort(), patience)
    try {
      await this.#round
      if (this.#pending.size > 0) await this.#tryAll()
    } finally {
      clearTimeout(timer)
      this.#controller.abort()
      clearTimeout(this.#timer)
    }
    if (this.#pending.size > 0)
      this.#surroundings.log.error(
        { count: this.#pending.size },
        'not everything could be revoked: it ends at its time',
      )
    const left = [...this.#pending]
    this.#pending.clear()
    await Promise.all(left.map((revocation) => revocation.settled?.()))
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#round !== undefined || this.#controller.signal.aborted) return
    const delay = Math.min(BACKOFF * 2 ** this.#failures, MAX_BACKOFF)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#round = this.#tryAll().finally(() => {
        this.#round = undefined
        if (this.#pending.size > 0) this.#schedule()
      })
    }, delay).unref()
  }

  /** A server that does not answer one is not asked for the others in this round. */
  async #tryAll(): Promise<void> {
    const left = [...this.#pending]
    let isDown = false
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined && !isDown; next = left.pop()) {
        const outcome = await this.#attempt(next)
        if (outcome === 'down') isDown = true
        if (outcome === 'done' && this.#pending.delete(next)) await next.settled?.()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    this.#failures = this.#pending.size > 0 ? this.#failures + 1 : 0
  }

  /** `failed` where the server answered, `down` where it did not. */
  async #attempt({ attempt, until }: Revocation): Promise<'done' | 'failed' | 'down'> {
    const { clock, log } = this.#surroundings
    if (clock.now() >= until) return 'done'
    try {
      await attempt(this.#controller.signal)
      return 'done'
    } catch (error) {
      log.warn({ err: error }, 'a revocation has to be tried again')
      return error instanceof VaultError && error.status !== undefined ? 'failed' : 'down'
    }
  }
}
