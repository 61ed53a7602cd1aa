import { setMaxListeners } from 'node:events'
import type { Surroundings } from './surroundings.ts'
import { unlessAborted } from './unless-aborted.ts'
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
  /** First attempts, and what follows on them. */
  readonly #underWay = new Set<Promise<void>>()
  #isDeferring = false
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
  carryOut(revocation: Revocation): Promise<void> {
    const work = this.#carryOut(revocation).finally(() => this.#underWay.delete(work))
    this.#underWay.add(work)
    return work
  }

  /** From now on nothing is carried out before {@link drain}, which stops asking a server that does not answer. */
  defer(): void {
    this.#isDeferring = true
  }

  /** Waits for what is under way and tries what waits once more, for at most `patience` milliseconds; forgets the rest. */
  async drain(patience: number): Promise<void> {
    this.#isDeferring = true
    clearTimeout(this.#timer)
    const { signal } = this.#controller
    const timer = setTimeout(() => this.#controller.abort(), patience)
    try {
      await unlessAborted(this.#finish(), signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      clearTimeout(timer)
      this.#controller.abort()
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

  /** One that the server did not answer ends a round: there is another as long as some are done. */
  async #finish(): Promise<void> {
    await Promise.all([this.#round, ...this.#underWay])
    for (let done = 1; done > 0 && this.#pending.size > 0; ) done = await this.#tryAll()
  }

  async #carryOut(revocation: Revocation): Promise<void> {
    const isOver = this.#controller.signal.aborted
    if (!this.#isDeferring && !isOver && (await this.#attempt(revocation)) === 'done') return revocation.settled?.()
    if (this.#pending.size >= MAX_PENDING || this.#controller.signal.aborted) {
      this.#surroundings.log.error({}, 'something could not be revoked: it ends at its time')
      return revocation.settled?.()
    }
    this.#pending.add(revocation)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#round !== undefined || this.#isDeferring) return
    const delay = Math.min(BACKOFF * 2 ** this.#failures, MAX_BACKOFF)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#round = this.#tryAll().then(() => {
        this.#round = undefined
        if (this.#pending.size > 0) this.#schedule()
      })
    }, delay).unref()
  }

  /** A server that does not answer one is not asked for the others in this round. Resolves with how many were done. */
  async #tryAll(): Promise<number> {
    const left = [...this.#pending].reverse()
    let isDown = false
    let done = 0
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined && !isDown; next = left.pop()) {
        const outcome = await this.#attempt(next)
        if (outcome === 'down') isDown = true
        const isPending = this.#pending.delete(next)
        // Behind the others: where it hangs in each round, they have their turn before.
        if (outcome !== 'done' && isPending) this.#pending.add(next)
        if (outcome !== 'done') continue
        done++
        if (isPending) await next.settled?.()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    this.#failures = this.#pending.size > 0 ? this.#failures + 1 : 0
    return done
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
