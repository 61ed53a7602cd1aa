import { expect, it } from 'vitest'
import { fakeClock } from '../../src/testing/fake-clock.ts'

it('stands still until it is moved, in both directions', async () => {
  const clock = fakeClock(new Date('2030-01-01T00:00:00Z'))
  const start = clock.now()
  expect(new Date(start).toISOString()).toBe('2030-01-01T00:00:00.000Z')
  await new Promise((resolve) => setTimeout(resolve, 2))
  expect(clock.now()).toBe(start)
  clock.tick(1_500)
  expect(clock.now()).toBe(start + 1_500)
  clock.tick(-2_000)
  expect(clock.now()).toBe(start - 500)
  clock.set(new Date('2031-01-01T00:00:00Z'))
  expect(clock.now()).toBe(Date.parse('2031-01-01T00:00:00Z'))
})

it('starts in the present where no start is given', () => {
  const before = Date.now()
  expect(fakeClock().now()).toBeGreaterThanOrEqual(before)
  expect(fakeClock().now()).toBeLessThanOrEqual(Date.now())
})

it('refuses to be set to no time', () => {
  const clock = fakeClock()
  expect(() => clock.tick(Number.NaN)).toThrow(TypeError)
  expect(() => clock.set(new Date(Number.NaN))).toThrow(TypeError)
  expect(() => fakeClock(new Date(Number.NaN))).toThrow(TypeError)
})
