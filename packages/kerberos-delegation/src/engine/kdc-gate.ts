import type { Logger } from '@mcp-delegation/core'
import { CircuitState, circuitBreaker, handleWhenResult, isBrokenCircuitError } from 'cockatiel'

/** How a trip to the KDC went. `late`: no answer in time. `unknown`: it says nothing about the KDC. */
export type TripOutcome = 'answered' | 'late' | 'unknown'

export interface KdcGateOptions {
  /** How many trips run at once. */
  readonly maxConcurrent: number
  /** How long one trip may take, in milliseconds. */
  readonly deadline: number
  /** How long no trip is made after the KDC did not answer, in milliseconds. */
  readonly probeInterval: number
  readonly log: Logger
}

/** Refuses trips to a KDC that does not answer, and lets one through now and then to see whether it does again. */
export interface KdcGate {
  /** Until when trips are refused, in milliseconds since the epoch; undefined where one may be made. */
  readonly closedUntil: number | undefined
  /**
   * Makes a trip on behalf of `traveller`. `trip` is called at once and must not reject. False where the gate refused
   * it after all.
   */
  pass(traveller: string, trip: () => Promise<TripOutcome>): Promise<boolean>
}

/**
 * The gate shuts when trips of half as many different travellers as trips run at once (four of eight) were late and none
 * was answered in between, or when all that can run at once were late, whoever they were for. So one user whose
 * trips are slow, of whom a few run at once, does not shut out the others, while a KDC that hangs is found out before
 * all threads hang in it: the helper process and the tickets that it holds then live on. Any answer counts for the KDC,
 * a refusal or a refused connection too: they come in milliseconds and need no protection.
 */
export function kdcGate(options: KdcGateOptions): KdcGate {
  const { maxConcurrent, probeInterval, log } = options
  const enough = Math.ceil(maxConcurrent / 2)
  const lateTravellers = new Set<string>()
  let late = 0
  let closedUntil = 0

  const policy = circuitBreaker(
    handleWhenResult((outcome) => outcome !== 'answered'),
    {
      halfOpenAfter: probeInterval,
      breaker: {
        state: undefined,
        success: () => {
          lateTravellers.clear()
          late = 0
        },
        failure: () => lateTravellers.size >= enough || late >= maxConcurrent,
      },
    },
  )
  policy.onBreak(() => {
    closedUntil = Date.now() + probeInterval
    log.warn({ probeInterval }, 'the KDC does not answer; orders are refused until it does')
  })
  policy.onHalfOpen(() => {
    closedUntil = Date.now() + options.deadline
    log.debug({}, 'the KDC is tried again')
  })
  policy.onReset(() => log.info({}, 'the KDC answers again'))

  return {
    get closedUntil() {
      const shut =
        policy.state === CircuitState.HalfOpen || (policy.state === CircuitState.Open && Date.now() < closedUntil)
      return shut ? closedUntil : undefined
    },
    pass: async (traveller, trip) => {
      try {
        await policy.execute(async () => {
          const outcome = await trip()
          if (outcome === 'late') {
            late++
            lateTravellers.add(traveller)
          }
          return outcome
        })
        return true
      } catch (error) {
        if (isBrokenCircuitError(error)) return false
        throw error
      }
    },
  }
}
