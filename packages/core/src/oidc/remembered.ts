import type { Clock } from '../clock.ts'
import { DelegationError, isDelegationError } from '../errors.ts'
import { SingleFlight } from '../single-flight.ts'

const MAX_AGE = 600_000
const COOL_DOWN = 30_000
const PAUSE = 5_000

/** What somebody else was asked for, and is not asked for again by everybody who needs it. */
export interface Remembered<T> {
  /** What was learnt within the last ten minutes, or else what is learnt now. */
  get(signal: AbortSignal): Promise<T>
  /** For whom that is not enough: what was learnt within the last thirty seconds, or else what is learnt now. */
  renew(signal: AbortSignal): Promise<T>
}

/**
 * Remembers what `learn` resolves to, and for five seconds the outage with which it rejects: until then it is not run
 * again, and `retryAfter` says so. What was known before an outage is not forgotten for it.
 */
export function remembered<T>(learn: (signal: AbortSignal) => Promise<T>, clock: Clock): Remembered<T> {
  const flight = new SingleFlight<undefined, T>()
  let known: { readonly value: T; readonly at: number } | undefined
  let failure: { readonly error: DelegationError; readonly at: number } | undefined

  /** In both directions: when the clock is set back, nothing may last until it has caught up. */
  const isRecent = (at: number, span: number): boolean => Math.abs(clock.now() - at) < span

  const learnAnew = async (signal: AbortSignal): Promise<T> => {
    try {
      const value = await learn(signal)
      known = { value, at: clock.now() }
      failure = undefined
      return value
    } catch (error) {
      // One with an end was remembered where it happened.
      if (signal.aborted || !isDelegationError(error) || error.retryAfter !== undefined) throw error
      const at = clock.now()
      const retryAfter = new Date(at + PAUSE)
      failure = { error: new DelegationError(error.code, error.message, { cause: error.cause, retryAfter }), at }
      throw failure.error
    }
  }

  const notOlderThan = async (span: number, signal: AbortSignal): Promise<T> => {
    if (known !== undefined && isRecent(known.at, span)) return known.value
    if (failure !== undefined && isRecent(failure.at, PAUSE)) throw failure.error
    return flight.run('', undefined, signal, (all) => learnAnew(all.signal))
  }
  return {
    get: (signal) => notOlderThan(MAX_AGE, signal),
    renew: (signal) => notOlderThan(COOL_DOWN, signal),
  }
}
