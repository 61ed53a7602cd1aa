import { expect, test } from 'vitest'
import { RateLimits } from '../src/rate-limit.ts'
import { type FakeClock, fakeClock } from '../src/testing/fake-clock.ts'

function setUp(maxUsers = 10): {
  readonly limits: RateLimits
  readonly clock: FakeClock
  readonly waits: (user: string, ...asked: Parameters<RateLimits['take']>[1]) => number | undefined
} {
  const clock = fakeClock()
  const limits = new RateLimits(clock, maxUsers)
  return {
    limits,
    clock,
    waits: (user, ...asked) => {
      const until = limits.take(user, asked)
      return until && until.getTime() - clock.now()
    },
  }
}

test('a user has all calls at once, and then one whenever one is filled in', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 3, per: 3_000 }
  for (let call = 0; call < 3; call++) expect(waits('a', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
  clock.tick(999)
  expect(waits('a', limit)).toBe(1)
  clock.tick(1)
  expect(waits('a', limit)).toBeUndefined()
  expect(waits('a', limit)).toBe(1_000)
  clock.tick(1_000_000)
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
    const start = clock.now()
    const all = Math.min(limit.calls, 1_000)
    for (let call = 0; call < all; call++) expect(waits('a', limit)).toBeUndefined()
    if (all < limit.calls) continue
    for (let call = 0; call < 100; call++) {
      const wait = waits('a', limit)
      expect(wait).toBeGreaterThanOrEqual(1)
      clock.tick(wait ?? 0)
      expect(waits('a', limit)).toBeUndefined()
    }
    // A hundred calls after the first ones took a hundred shares of the time, and less than a millisecond of waiting in vain.
    expect(clock.now() - start).toBe(Math.ceil((100 * limit.per) / limit.calls))
  }
})

test('a refused call is not counted', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 1, per: 1_000 }
  waits('a', limit)
  for (let call = 0; call < 50; call++) {
    expect(waits('a', limit)).toBe(1_000 - call * 10)
    clock.tick(10)
  }
  clock.tick(500)
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
  clock.tick(-86_400_000)
  expect(waits('a', limit)).toBe(1_000)
  clock.tick(999)
  expect(waits('a', limit)).toBe(1)
  clock.tick(1)
  expect(waits('a', limit)).toBeUndefined()
})

test('a clock that is set back gives nobody more than the limit says', () => {
  const { clock, waits } = setUp()
  const limit = { calls: 1, per: 1_000 }
  waits('a', limit)
  for (let call = 0; call < 10; call++) {
    clock.tick(-5_000)
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
