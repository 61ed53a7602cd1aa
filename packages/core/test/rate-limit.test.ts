import { expect, test } from 'vitest'
import { RateLimits } from '../src/rate-limit.ts'
import { fakeClock } from '../src/testing/fake-clock.ts'

const START = Date.UTC(2026, 0, 1)

function setUp(maxUsers?: number): {
  readonly limits: RateLimits
  readonly clock: { at: number }
  readonly waits: (user: string, ...asked: Parameters<RateLimits['take']>[1]) => number | undefined
} {
  const clock = { at: START }
  const limits = new RateLimits({ now: () => clock.at }, maxUsers)
  return {
    limits,
    clock,
    waits: (user, ...asked) => {
      const until = limits.take(user, asked)
      return until && until.getTime() - clock.at
    },
  }
}

test('a user has all calls at once, and then one whenever one is filled in', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 3, per: 3_000 }
  for (let call = 0; call < 3; call++) expect(waits('a', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
  clock.at += 999
  expect(waits('a', limit)).toBe(1)
  clock.at += 1
  expect(waits('a', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
  clock.at += 1_000_000
  for (let call = 0; call < 3; call++) expect(waits('a', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
})

test('what does not divide evenly is not lost to rounding', () => {
  for (const limit of [
    { calls: 3, per: 1_000 },
    { calls: 7, per: 10 },
    { calls: 1_000_000, per: 86_399_999 },
  ]) {
    const { clock, waits } = setUp()
    const all = Math.min(limit.calls, 1_000)
    for (let call = 0; call < all; call++) expect(waits('a', limit)).toBeUndefined()
    if (all < limit.calls) continue
    for (let call = 0; call < 100; call++) {
      const wait = waits('a', limit)
      expect(wait).toBeGreaterThanOrEqual(1)
      clock.at += wait ?? 0
      expect(waits('a', limit)).toBeUndefined()
    }
    // A hundred calls after the first ones took a hundred shares of the time, and less than a millisecond of waiting in vain.
    expect(clock.at - START).toBe(Math.ceil((100 * limit.per) / limit.calls))
  }
})

test('a refused call is not counted', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 1, per: 1_000 }
  waits('a', limit)
  for (let call = 0; call < 50; call++) {
    expect(waits('a', limit)).toBe(1_000 - call * 10)
    clock.at += 10
  }
  clock.at += 500
  expect(waits('a', limit)).toBeUndefined()
})

test('where one of two limits is spent, the other one is not charged', () => {
  const { waits } = setUp()
  const all = { calls: 3, per: 3_000 }
  const one = { calls: 1, per: 60_000 }
  expect(waits('a', all, one)).toBeUndefined()
  for (let call = 0; call < 10; call++) expect(waits('a', all, one)).toBe(60_000)
  expect(waits('a', all)).toBeUndefined()
  expect(waits('a', all)).toBeUndefined()
  expect(waits('a', all)).toBe(1_000)
  // Both are spent: the later instant.
  expect(waits('a', all, one)).toBe(60_000)
})

test('users do not share', () => {
  const { waits } = setUp()
  const limit = { calls: 1, per: 1_000 }
  expect(waits('a', limit)).toBeUndefined()
  expect(waits('b', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
})

test('a clock that is set back locks nobody out for longer than the limit says', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 2, per: 2_000 }
  waits('a', limit)
  waits('a', limit)
  clock.at -= 86_400_000
  expect(waits('a', limit)).toBe(1_000)
  clock.at += 999
  expect(waits('a', limit)).toBe(1)
  clock.at += 1
  expect(waits('a', limit)).toBeUndefined()
})

test('a clock that is set back gives nobody more than the limit says', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 1, per: 1_000 }
  waits('a', limit)
  for (let call = 0; call < 10; call++) {
    clock.at -= 5_000
    expect(waits('a', limit)).toBe(1_000)
  }
})

test('the number of users is bounded: who has called least recently begins anew', () => {
  const { waits } = setUp(2)
  const limit = { calls: 1, per: 1_000 }
  for (const user of ['a', 'b']) expect(waits(user, limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
  expect(waits('c', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
  expect(waits('b', limit)).toBeUndefined()
})

test('without limits nothing is kept, and the clock is not asked', () => {
  const limits = new RateLimits({
    now: () => {
      throw new Error('asked')
    },
  })
  expect(limits.take('a', [])).toBeUndefined()
})

test('runs on the clock of the tests', () => {
  const clock = fakeClock()
  const limits = new RateLimits(clock)
  const limit = { calls: 1, per: 1_000 }
  limits.take('a', [limit])
  expect(limits.take('a', [limit])).toEqual(new Date(clock.now() + 1_000))
})
