import { expect, test } from 'vitest'
import { Admission } from '../src/admission.ts'
import { settle } from './support.ts'

const clock = { now: () => 1_000 }
const limits = { maxConcurrent: 2, maxQueued: 5, maxConcurrentPerUser: 1, maxQueuedPerUser: 3 }
const never = new AbortController().signal

test('as many run as the limits allow, and the rest wait for their turn', async () => {
  const admission = new Admission(limits, clock)
  const leaveAlice = await admission.enter('alice', never)
  await admission.enter('bob', never)
  let carol = false
  const waiting = admission.enter('carol', never).then(() => {
    carol = true
  })
  await settle()
  expect([carol, admission.running, admission.queued]).toEqual([false, 2, 1])
  leaveAlice()
  await waiting
  expect([carol, admission.running, admission.queued]).toEqual([true, 2, 0])
})

test('one user who waits a lot does not delay another', async () => {
  const admission = new Admission({ ...limits, maxConcurrent: 1 }, clock)
  const order: string[] = []
  const work = async (name: string): Promise<void> => {
    const leave = await admission.enter(name, never)
    order.push(name)
    await settle()
    leave()
  }
  await Promise.all(['alice', 'alice', 'alice', 'alice', 'bob', 'carol'].map(work))
  expect(order).toEqual(['alice', 'bob', 'carol', 'alice', 'alice', 'alice'])
})

test('a user at its own limit leaves room to others', async () => {
  const admission = new Admission(limits, clock)
  await admission.enter('alice', never)
  void admission.enter('alice', never)
  await admission.enter('bob', never)
  expect([admission.running, admission.queued]).toEqual([2, 1])
})

test('beyond the queue a call is refused with the time to come back', async () => {
  const admission = new Admission(limits, clock)
  await admission.enter('alice', never)
  for (let call = 0; call < 3; call++) void admission.enter('alice', never)
  await expect(admission.enter('alice', never)).rejects.toMatchObject({
    code: 'ERR_RATE_LIMITED',
    retryable: true,
    retryAfter: new Date(2_000),
  })
  await admission.enter('bob', never)
  void admission.enter('carol', never)
  void admission.enter('dave', never)
  await expect(admission.enter('erin', never)).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED' })
})

test('who aborts leaves the queue, and a turn ends only once', async () => {
  const admission = new Admission(limits, clock)
  const leave = await admission.enter('alice', never)
  const controller = new AbortController()
  const waiting = admission.enter('alice', controller.signal)
  controller.abort('gone')
  await expect(waiting).rejects.toBe('gone')
  await expect(admission.enter('bob', AbortSignal.abort('early'))).rejects.toBe('early')
  leave()
  leave()
  expect([admission.running, admission.queued]).toEqual([0, 0])
})
