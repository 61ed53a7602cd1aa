import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'
import type { RateLimit } from './permission-options.ts'

/** Of how many users calls are counted. */
const MAX_USERS = 100_000

/** Holds `calls` calls when it is full, and is filled evenly within `per`. */
class Bucket {
  readonly #limit: RateLimit
  /** What was taken out, in calls times `per`: a whole number, so that nothing is rounded. */
  #taken = 0
  #at: number

  constructor(limit: RateLimit, now: number) {
    this.#limit = limit
    this.#at = now
  }

  /** How many milliseconds it takes until there is a call in it; none where there is one. */
  waitAt(now: number): number {
    const { calls, per } = this.#limit
    // A clock that was set back gives nothing for that time; from then on it counts as usual, refused calls or not.
    const elapsed = Math.min(Math.max(now - this.#at, 0), per)
    this.#taken = Math.max(this.#taken - elapsed * calls, 0)
    this.#at = now
    return Math.max((this.#taken + per - calls * per) / calls, 0)
  }

  take(): void {
    this.#taken += this.#limit.per
  }
}

/** Counts the calls of each user. Where there are too many users, whoever has called least recently is forgotten. */
export class RateLimits {
  readonly #users: LRUCache<string, Map<RateLimit, Bucket>>
  readonly #clock: Clock

  constructor(clock: Clock, maxUsers: number = MAX_USERS) {
    this.#users = new LRUCache({ max: maxUsers })
    this.#clock = clock
  }

  /**
   * Takes one call of `user` out of each of `limits`, or out of none of them where one is spent: then the instant from
   * which each has one again.
   */
  take(user: string, limits: readonly RateLimit[]): Date | undefined {
    if (limits.length === 0) return undefined
    const now = this.#clock.now()
    const buckets = this.#users.get(user) ?? new Map<RateLimit, Bucket>()
    this.#users.set(user, buckets)
    const asked = limits.map((limit) => {
      const bucket = buckets.get(limit) ?? new Bucket(limit, now)
      buckets.set(limit, bucket)
      return bucket
    })
    const wait = Math.max(...asked.map((bucket) => bucket.waitAt(now)))
    if (wait > 0) return new Date(Math.ceil(now + wait))
    for (const bucket of asked) bucket.take()
    return undefined
  }
}
