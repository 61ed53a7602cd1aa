import fc from 'fast-check'
import { expect, test } from 'vitest'
import { graceOf, renewalDelay, retryDelay } from '../src/renewal-schedule.ts'

const HOUR = 3_600_000
const durations = fc.integer({ min: 1_000, max: 400 * 24 * HOUR })
const chance = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

test('a lease is renewed at 70 to 74 % of its time, and never all at the same moment', () => {
  fc.assert(
    fc.property(durations, chance, (duration, random) => {
      const delay = renewalDelay(
        duration,
        graceOf(duration, () => random),
      )
      expect(delay).toBeGreaterThanOrEqual(duration * 0.69)
      expect(delay).toBeLessThanOrEqual(duration * 0.74)
    }),
  )
  expect(new Set(Array.from({ length: 50 }, () => graceOf(HOUR))).size).toBeGreaterThan(40)
})

test('a lease is given up where no more than 10 to 20 % of it is left', () => {
  fc.assert(
    fc.property(durations, chance, (duration, random) => {
      const grace = graceOf(duration, () => random)
      expect(renewalDelay(duration * 0.09, grace)).toBeUndefined()
      expect(renewalDelay(grace, grace)).toBeUndefined()
      expect(renewalDelay(duration * 0.21, grace)).toBeLessThan(duration * 0.21)
    }),
  )
})

test('what is left of a lease that is never renewed is always looked at again before its end', () => {
  fc.assert(
    fc.property(durations, chance, (duration, random) => {
      const grace = graceOf(duration, () => random)
      let left = duration
      let looks = 0
      for (let delay = renewalDelay(left, grace); delay !== undefined; delay = renewalDelay(left, grace)) {
        left -= delay
        looks++
        expect(left).toBeGreaterThan(0)
      }
      expect(looks).toBeLessThan(8)
    }),
  )
})

test('after failures the wait doubles from ten seconds to five minutes, and ends before the lease', () => {
  const grace = HOUR / 10
  expect([1, 2, 3, 4, 5, 6, 7].map((failures) => retryDelay(failures, HOUR, grace))).toEqual([
    10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000,
  ])
  expect(retryDelay(3, grace + 30_000, grace)).toBeUndefined()
  expect(retryDelay(1, grace, grace)).toBeUndefined()
})

test('a lease that is shorter than the wait has one more try', () => {
  expect(retryDelay(1, 6_000, 1_000)).toBe(2_500)
  expect(retryDelay(2, 3_500, 1_000)).toBeUndefined()
})
