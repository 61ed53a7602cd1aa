import { type Shared, shared } from './shared.ts'

/** One of the service's ticket-granting tickets. Times in milliseconds since the epoch. */
export interface Generation {
  /** The name of its cache. */
  readonly cache: string
  readonly obtainedAt: number
  readonly endsAt: number
}

/** The service's own ticket-granting ticket, renewed before it ends. */
export interface ServiceTickets {
  /** Runs with a ticket that has some life left; rejects as getting one does. */
  use<R>(run: (generation: Generation) => Promise<R>): Promise<R>
  /** The KDC does not take this one: the next use gets another. */
  retire(generation: Generation): void
}

export interface ServiceTicketsOptions {
  /** Gets a new one from the KDC. */
  readonly acquire: () => Promise<Generation>
  readonly destroy: (generation: Generation) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Told of a renewal that failed while there is time for another. */
  readonly report: (problem: string) => void
}

/** A KDC may refuse a ticket with two minutes left: with less than this, or a quarter of its life, a new one is awaited. */
const RESERVE = 180_000
/** After a renewal that failed, in milliseconds. */
const PAUSE = 10_000

export function serviceTickets({ acquire, destroy, now, report }: ServiceTicketsOptions): ServiceTickets {
  let current: Shared<Generation> | undefined
  let renewal: Promise<Shared<Generation>> | undefined
  let quietUntil = 0

  function renew(): Promise<Shared<Generation>> {
    renewal ??= acquire()
      .then((generation) => {
        current?.retire()
        current = shared(generation, destroy)
        return current
      })
      .finally(() => {
        renewal = undefined
      })
    return renewal
  }

  function usable(): Shared<Generation> | undefined {
    if (current === undefined) return undefined
    const { obtainedAt, endsAt } = current.value
    const life = endsAt - obtainedAt
    const left = endsAt - now()
    if (left <= Math.min(RESERVE, life / 4)) return undefined
    if (left <= life / 2 && renewal === undefined && now() >= quietUntil) {
      quietUntil = now() + PAUSE
      renew().catch((error: Error) => report(`the service's ticket was not renewed: ${error.message}`))
    }
    return current
  }

  return {
    use: async (run) => await (usable() ?? (await renew())).use(run),
    retire: (generation) => {
      if (current?.value !== generation) return
      current.retire()
      current = undefined
    },
  }
}
