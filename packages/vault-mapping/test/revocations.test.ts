import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Revocations } from '../src/revocations.ts'
import { refusal, testSurroundings } from './stand-in.ts'

const MINUTE = 60_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function flaky(failures: number) {
  const attempt = vi.fn(async () => {
    if (attempt.mock.calls.length <= failures) throw new Error('down')
  })
  const settled = vi.fn(async () => {})
  return { attempt, settled, until: Date.now() + 60 * MINUTE }
}

test('what succeeds is done at once', async () => {
  const revocations = new Revocations(testSurroundings())
  const one = flaky(0)
  await revocations.carryOut(one)
  expect(one.settled).toHaveBeenCalledOnce()
  expect(revocations.size).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})

test('what fails is tried again until it succeeds, each time later, and settled once', async () => {
  const revocations = new Revocations(testSurroundings())
  const one = flaky(3)
  await revocations.carryOut(one)
  expect(one.attempt).toHaveBeenCalledTimes(1)
  expect(one.settled).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(one.attempt).toHaveBeenCalledTimes(2)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(one.attempt).toHaveBeenCalledTimes(3)
  await vi.advanceTimersByTimeAsync(4_000)
  expect(one.attempt).toHaveBeenCalledTimes(4)
  expect(one.settled).toHaveBeenCalledOnce()
  expect(revocations.size).toBe(0)
  await vi.advanceTimersByTimeAsync(60 * MINUTE)
  expect(one.attempt).toHaveBeenCalledTimes(4)
})

test('what has ended by itself is not tried any more', async () => {
  const revocations = new Revocations(testSurroundings())
  const one = { ...flaky(1_000), until: Date.now() + 2_500 }
  await revocations.carryOut(one)
  await vi.advanceTimersByTimeAsync(10 * MINUTE)
  expect(one.attempt).toHaveBeenCalledTimes(2)
  expect(one.settled).toHaveBeenCalledOnce()
  expect(vi.getTimerCount()).toBe(0)
})

test('a server that is down is not asked for each of thousands in one round', async () => {
  const revocations = new Revocations(testSurroundings())
  const attempt = vi.fn(async () => {
    throw new Error('down')
  })
  const until = Date.now() + 60 * MINUTE
  await Promise.all(Array.from({ length: 1_000 }, () => revocations.carryOut({ attempt, until })))
  expect(attempt).toHaveBeenCalledTimes(1_000)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(attempt.mock.calls.length).toBeLessThanOrEqual(1_008)
  expect(revocations.size).toBe(1_000)
})

test('one that the server refuses does not keep it from the others, also at the end', async () => {
  const revocations = new Revocations(testSurroundings())
  const until = Date.now() + 60 * MINUTE
  const others = Array.from({ length: 30 }, () => flaky(1))
  const attempt = vi.fn().mockRejectedValue(refusal(400))
  for (const one of others.slice(0, 15)) await revocations.carryOut(one)
  for (let count = 0; count < 10; count++) await revocations.carryOut({ attempt, until })
  for (const one of others.slice(15)) await revocations.carryOut(one)
  await revocations.drain(1_000)
  expect(others.filter(({ settled }) => settled.mock.calls.length === 1)).toHaveLength(30)
})

test('those that hang in each round do not keep the server from being asked for the others', async () => {
  const revocations = new Revocations(testSurroundings())
  const others = Array.from({ length: 3 }, () => flaky(1))
  const hanging = (): ReturnType<typeof flaky> => flaky(1_000)
  for (const one of [...Array.from({ length: 20 }, hanging), ...others, ...Array.from({ length: 20 }, hanging)])
    await revocations.carryOut(one)
  await vi.advanceTimersByTimeAsync(5 * MINUTE)
  expect(others.map(({ settled }) => settled.mock.calls.length)).toEqual([1, 1, 1])
  expect(revocations.size).toBe(40)
})

test('what comes back is asked for all of them at once', async () => {
  const revocations = new Revocations(testSurroundings())
  let down = true
  const attempt = async (): Promise<void> => {
    if (down) throw new Error('down')
  }
  const until = Date.now() + 60 * MINUTE
  await Promise.all(Array.from({ length: 100 }, () => revocations.carryOut({ attempt, until })))
  down = false
  await vi.advanceTimersByTimeAsync(1_000)
  expect(revocations.size).toBe(0)
})

test('at the end all is tried once more, and the rest is told and forgotten', async () => {
  const surroundings = testSurroundings()
  const revocations = new Revocations(surroundings)
  const [heals, stays] = [flaky(1), flaky(1_000)]
  await Promise.all([revocations.carryOut(stays), revocations.carryOut(heals)])
  await revocations.drain(1_000)
  expect(heals.settled).toHaveBeenCalledOnce()
  expect(stays.settled).toHaveBeenCalledOnce()
  expect(revocations.size).toBe(0)
  expect(surroundings.lines).toContainEqual({
    level: 'error',
    message: 'not everything could be revoked: it ends at its time',
  })
  expect(vi.getTimerCount()).toBe(0)
})

test('an attempt that hangs is not waited for longer than the last patience', async () => {
  const revocations = new Revocations(testSurroundings())
  let tries = 0
  await revocations.carryOut({
    until: Date.now() + 60 * MINUTE,
    attempt: (signal) => {
      if (++tries === 1) return Promise.reject(new Error('down'))
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    },
  })
  const drained = revocations.drain(5_000)
  await vi.advanceTimersByTimeAsync(5_000)
  await drained
  expect(revocations.size).toBe(0)
})

test('the end waits for an attempt that is under way, and takes nothing from it', async () => {
  const surroundings = testSurroundings()
  const revocations = new Revocations(surroundings)
  let finish = (): void => {}
  const settled = vi.fn(async () => {})
  const attempt = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      finish = resolve
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  const carried = revocations.carryOut({ attempt, settled, until: Date.now() + 60 * MINUTE })
  const drained = revocations.drain(5_000)
  await vi.advanceTimersByTimeAsync(1_000)
  finish()
  await Promise.all([carried, drained])
  expect(settled).toHaveBeenCalledOnce()
  expect(surroundings.lines).toEqual([])
})

test('at the end a server that hangs is asked for a few, however many there are', async () => {
  const revocations = new Revocations(testSurroundings())
  const timeout = 5_000
  const attempt = vi.fn(
    () => new Promise<void>((_resolve, reject) => setTimeout(() => reject(new Error('late')), timeout)),
  )
  revocations.defer()
  const until = Date.now() + 60 * MINUTE
  await Promise.all(Array.from({ length: 1_000 }, () => revocations.carryOut({ attempt, until })))
  expect(attempt).not.toHaveBeenCalled()
  const drained = revocations.drain(30_000)
  await vi.advanceTimersByTimeAsync(timeout + 1)
  await drained
  expect(attempt.mock.calls.length).toBeLessThanOrEqual(8)
  expect(revocations.size).toBe(0)
})

test('at the end one broken connection does not keep the others from being revoked', async () => {
  const revocations = new Revocations(testSurroundings())
  revocations.defer()
  const all = [flaky(1), ...Array.from({ length: 50 }, () => flaky(0)), flaky(1)]
  for (const one of all) await revocations.carryOut(one)
  await revocations.drain(1_000)
  expect(all.filter(({ settled }) => settled.mock.calls.length === 1)).toHaveLength(52)
  expect(all.every(({ attempt }) => attempt.mock.calls.length <= 2)).toBe(true)
  expect(all.at(0)?.attempt).toHaveBeenCalledTimes(2)
})

test('a round and the end do not ask for the same at the same time', async () => {
  const revocations = new Revocations(testSurroundings())
  let [calls, atOnce, most] = [0, 0, 0]
  const attempt = async (): Promise<void> => {
    if (++calls === 1) throw refusal(503)
    most = Math.max(most, ++atOnce)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    atOnce--
    throw refusal(503)
  }
  await revocations.carryOut({ attempt, until: Date.now() + 60 * MINUTE })
  await vi.advanceTimersByTimeAsync(1_500)
  const drained = revocations.drain(30_000)
  await vi.advanceTimersByTimeAsync(30_000)
  await drained
  expect(most).toBe(1)
  expect(vi.getTimerCount()).toBe(0)
})
