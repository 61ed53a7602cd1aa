import type { Clock } from './clock.ts'
import { DelegationError } from './errors.ts'

/** How many may run and wait, in all and of one user. */
export interface AdmissionLimits {
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly maxConcurrentPerUser: number
  readonly maxQueuedPerUser: number
}

interface Turn {
  start(): void
}

interface User {
  running: number
  readonly queue: Set<Turn>
}

const RETRY_AFTER = 1_000

/** Back-pressure in front of a backend, fair between users: those who wait are served in turn, one user after another. */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #clock: Clock
  /** Every user who runs or waits, the one whose turn is next first. */
  readonly #users = new Map<string, User>()
  #running = 0
  #queued = 0

  constructor(limits: AdmissionLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  get running(): number {
    return this.#running
  }

  get queued(): number {
    return this.#queued
  }

  /**
   * Resolves, when it is this user's turn, with the function that ends the turn.
   * @throws DelegationError `ERR_RATE_LIMITED` where too many wait already; `signal.reason` on abort.
   */
  enter(name: string, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    const user = this.#users.get(name) ?? { running: 0, queue: new Set() }
    if (this.#hasRoom(user)) {
      this.#users.set(name, user)
      return Promise.resolve(this.#begin(name, user))
    }
    if (this.#queued >= this.#limits.maxQueued || user.queue.size >= this.#limits.maxQueuedPerUser) {
      const retryAfter = new Date(this.#clock.now() + RETRY_AFTER)
      return Promise.reject(
        new DelegationError('ERR_RATE_LIMITED', 'too many credentials are being issued', { retryAfter }),
      )
    }
    this.#users.set(name, user)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        user.queue.delete(turn)
        this.#queued--
        this.#forget(name, user)
        reject(signal.reason)
      }
      const turn: Turn = {
        start: () => {
          signal.removeEventListener('abort', leave)
          resolve(this.#begin(name, user))
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      user.queue.add(turn)
      this.#queued++
    })
  }

  #hasRoom(user: User): boolean {
    return this.#running < this.#limits.maxConcurrent && user.running < this.#limits.maxConcurrentPerUser
  }

  #begin(name: string, user: User): () => void {
    this.#running++
    user.running++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#running--
      user.running--
      this.#moveBehind(name, user)
      this.#next()
    }
  }

  /** Who was served comes after everybody else. */
  #moveBehind(name: string, user: User): void {
    this.#users.delete(name)
    if (user.running > 0 || user.queue.size > 0) this.#users.set(name, user)
  }

  #forget(name: string, user: User): void {
    if (user.running === 0 && user.queue.size === 0) this.#users.delete(name)
  }

  #next(): void {
    if (this.#queued === 0) return
    for (const [name, user] of this.#users) {
      const [turn] = user.queue
      if (turn === undefined || !this.#hasRoom(user)) continue
      user.queue.delete(turn)
      this.#queued--
      turn.start()
      this.#moveBehind(name, user)
      return
    }
  }
}
