import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startTimer } from '../src/long-timer.ts'

const DAY = 86_400_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test.each([0, 1, 5_000, 32 * DAY, 100 * DAY])('a timer of %i ms fires once, at its time', (delay) => {
  const work = vi.fn()
  startTimer(delay, work)
  if (delay > 0) vi.advanceTimersByTime(delay - 1)
  expect(work).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(work).toHaveBeenCalledOnce()
  vi.advanceTimersByTime(200 * DAY)
  expect(work).toHaveBeenCalledOnce()
})

test('the platform alone fires at once after 32 days, which is the default lifetime of a token', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const work = vi.fn()
  vi.useRealTimers()
  const timer = setTimeout(work, 32 * DAY)
  expect((timer as unknown as { _idleTimeout: number })._idleTimeout).toBe(1)
  clearTimeout(timer)
  warn.mockRestore()
})

test('a cancelled timer does not fire, also beyond the first stretch', () => {
  const work = vi.fn()
  const cancel = startTimer(60 * DAY, work)
  vi.advanceTimersByTime(40 * DAY)
  cancel()
  vi.advanceTimersByTime(40 * DAY)
  expect(work).not.toHaveBeenCalled()
})

test('an endless timer never fires, and leaves no timer behind', () => {
  startTimer(Number.POSITIVE_INFINITY, () => {
    throw new Error('fired')
  })
  expect(vi.getTimerCount()).toBe(0)
})
