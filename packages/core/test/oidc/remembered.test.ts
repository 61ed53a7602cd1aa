import { beforeEach, expect, test } from 'vitest'
import { DelegationError } from '../../src/index.ts'
import { type Remembered, remembered } from '../../src/oidc/remembered.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'

const down = (): Promise<never> => Promise.reject(new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'down'))
const { signal } = new AbortController()
const UNAVAILABLE = { code: 'ERR_DELEGATION_UNAVAILABLE' }

let clock: FakeClock
let asked: number
let learn: (all: AbortSignal) => Promise<number>
let thing: Remembered<number>
beforeEach(() => {
  clock = fakeClock()
  asked = 0
  learn = async () => asked
  thing = remembered((all) => {
    asked++
    return learn(all)
  }, clock)
})

test('what was learnt lasts ten minutes, or thirty seconds for whom it is not enough', async () => {
  expect(await Promise.all([thing.get(signal), thing.get(signal), thing.renew(signal)])).toEqual([1, 1, 1])
  clock.tick(29_999)
  expect(await thing.renew(signal)).toBe(1)
  clock.tick(1)
  expect(await thing.get(signal)).toBe(1)
  expect(await thing.renew(signal)).toBe(2)
  clock.tick(600_000)
  expect(await thing.get(signal)).toBe(3)
})

test('a clock that is set back by more makes it learn anew, a correction does not', async () => {
  await thing.get(signal)
  clock.tick(-1_000)
  expect(await thing.get(signal)).toBe(1)
  clock.tick(-600_000)
  expect(await thing.get(signal)).toBe(2)
})

test('an outage lasts five seconds, and leaves what was known', async () => {
  await thing.get(signal)
  clock.tick(30_000)
  learn = down
  const retryAfter = new Date(clock.now() + 5_000)
  await expect(thing.renew(signal)).rejects.toMatchObject({ ...UNAVAILABLE, retryAfter })
  clock.tick(4_999)
  await expect(thing.renew(signal)).rejects.toMatchObject({ ...UNAVAILABLE, retryAfter })
  expect(await thing.get(signal)).toBe(1)
  expect(asked).toBe(2)
  clock.tick(1)
  learn = async () => asked
  expect(await thing.renew(signal)).toBe(3)
})

test('an outage that is remembered elsewhere is not prolonged, and who gave up caused none', async () => {
  learn = () => Promise.reject(new DelegationError(UNAVAILABLE.code as never, 'down', { retryAfter: new Date() }))
  await expect(thing.get(signal)).rejects.toMatchObject(UNAVAILABLE)
  const caller = new AbortController()
  learn = (all) => new Promise((_, reject) => all.addEventListener('abort', () => void down().catch(reject)))
  const waiting = thing.get(caller.signal)
  caller.abort('gone')
  await expect(waiting).rejects.toBe('gone')
  learn = async () => asked
  expect(await thing.get(signal)).toBe(3)
})
