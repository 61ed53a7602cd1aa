interface Waiter<Owner, Share> {
  readonly owner: Owner
  resolve(value: Share): void
  reject(reason: unknown): void
}

interface Flight<Owner, Share> {
  readonly controller: AbortController
  readonly waiters: Set<Waiter<Owner, Share>>
}

/** What waiters get of a result that must be held while it is handed out. Called synchronously, one after the other. */
export interface Sharing<Owner, T, Share> {
  /** The part of one waiter. */
  share(value: T, owner: Owner): Share
  /** Every waiter has a share; there may have been none. */
  shared(value: T): void
}

/**
 * One run per key: whoever asks while it is under way waits for the same result. A caller who aborts stops waiting
 * alone; the run is aborted when every caller has left.
 */
export class SingleFlight<Owner, T, Share = T> {
  readonly #flights = new Map<string, Flight<Owner, Share>>()
  readonly #sharing: Sharing<Owner, T, Share>

  /** @param sharing default: every waiter gets the result itself. */
  constructor(sharing?: Sharing<Owner, T, Share>) {
    this.#sharing = sharing ?? { share: (value) => value as unknown as Share, shared: () => {} }
  }

  /** How many runs are under way. */
  get size(): number {
    return this.#flights.size
  }

  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /**
   * Waits for the run of `key`, which `start` begins, synchronously, where there is none. `start` may abort its own
   * controller, and must settle soon after the abort. Rejects with `signal.reason` when `signal` aborts.
   */
  run(
    key: string,
    owner: Owner,
    signal: AbortSignal | undefined,
    start: (controller: AbortController) => Promise<T>,
  ): Promise<Share> {
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const flight = this.#flights.get(key) ?? this.#start(key, start)
    return new Promise<Share>((resolve, reject) => {
      const waiter: Waiter<Owner, Share> = { owner, resolve, reject }
      if (signal !== undefined) {
        const leave = (): void => this.#leave(key, flight, waiter, signal.reason)
        signal.addEventListener('abort', leave, { once: true })
        waiter.resolve = (value) => {
          signal.removeEventListener('abort', leave)
          resolve(value)
        }
        waiter.reject = (reason) => {
          signal.removeEventListener('abort', leave)
          reject(reason)
        }
      }
      flight.waiters.add(waiter)
    })
  }

  /** Rejects every waiter whose owner matches; a run that nobody else waits for is aborted. */
  cancel(matches: (owner: Owner) => boolean, reason: unknown): void {
    for (const [key, flight] of this.#flights)
      for (const waiter of flight.waiters) if (matches(waiter.owner)) this.#leave(key, flight, waiter, reason)
  }

  #start(key: string, start: (controller: AbortController) => Promise<T>): Flight<Owner, Share> {
    const flight: Flight<Owner, Share> = { controller: new AbortController(), waiters: new Set() }
    this.#flights.set(key, flight)
    start(flight.controller).then(
      (value) => {
        for (const waiter of this.#land(key, flight)) waiter.resolve(this.#sharing.share(value, waiter.owner))
        this.#sharing.shared(value)
      },
      (reason) => {
        for (const waiter of this.#land(key, flight)) waiter.reject(reason)
      },
    )
    return flight
  }

  #land(key: string, flight: Flight<Owner, Share>): readonly Waiter<Owner, Share>[] {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
    const waiters = [...flight.waiters]
    flight.waiters.clear()
    return waiters
  }

  #leave(key: string, flight: Flight<Owner, Share>, waiter: Waiter<Owner, Share>, reason: unknown): void {
    if (!flight.waiters.delete(waiter)) return
    if (flight.waiters.size === 0) {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      flight.controller.abort(reason)
    }
    waiter.reject(reason)
  }
}
