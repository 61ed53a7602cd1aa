import type { Clock } from '../clock.ts'

/** A clock that stands still until it is moved. */
export interface FakeClock extends Clock {
  /** Moves the time by `ms` milliseconds; a negative number moves it back. */
  tick(ms: number): void
  /** Moves the time to `at`. */
  set(at: Date): void
}

/** A clock for tests; `start` defaults to the present. Timers do not follow it: fake those with the test runner. */
export function fakeClock(start: Date = new Date()): FakeClock {
  let time = checked(start.getTime())
  return {
    now: () => time,
    tick(ms) {
      time = checked(time + ms)
    },
    set(at) {
      time = checked(at.getTime())
    },
  }
}

function checked(time: number): number {
  if (Number.isFinite(time)) return time
  throw new TypeError('a fake clock can only be set to a valid time')
}
