import { expect, test } from 'vitest'
import { SingleFlight } from '../src/single-flight.ts'
import { deferred, settle } from './support.ts'

test('callers of one key share one run, and callers of another have their own', async () => {
  const flights = new SingleFlight<string, number>()
  let runs = 0
  const start = async (): Promise<number> => ++runs
  const results = await Promise.all([
    flights.run('a', 'alice', undefined, start),
    flights.run('a', 'alice', undefined, start),
    flights.run('b', 'bob', undefined, start),
  ])
  expect(results).toEqual([1, 1, 2])
  expect(flights.size).toBe(0)
})

test('the first caller who aborts leaves alone', async () => {
  const flights = new SingleFlight<string, string>()
  const work = deferred<string>()
  const first = new AbortController()
  let signal: AbortSignal | undefined
  const start = (controller: AbortController): Promise<string> => {
    signal = controller.signal
    return work.promise
  }
  const one = flights.run('k', 'alice', first.signal, start)
  const two = flights.run('k', 'alice', undefined, start)
  const reason = new Error('first left')
  first.abort(reason)
  await expect(one).rejects.toBe(reason)
  expect(signal?.aborted).toBe(false)
  work.resolve('done')
  await expect(two).resolves.toBe('done')
})

test('the run is aborted when every caller has left, and the next caller starts anew', async () => {
  const flights = new SingleFlight<string, string>()
  const never = deferred<string>()
  const controllers = [new AbortController(), new AbortController()]
  const signals: AbortSignal[] = []
  const start = (controller: AbortController): Promise<string> => {
    signals.push(controller.signal)
    return signals.length === 1 ? never.promise : Promise.resolve('second')
  }
  const calls = controllers.map(({ signal }) => flights.run('k', 'alice', signal, start))
  for (const controller of controllers) controller.abort()
  await expect(Promise.allSettled(calls)).resolves.toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
  expect(signals[0]?.aborted).toBe(true)
  await expect(flights.run('k', 'alice', undefined, start)).resolves.toBe('second')
  never.reject(new Error('late'))
  await settle()
})

test('a failure reaches every caller and is not remembered', async () => {
  const flights = new SingleFlight<string, string>()
  const failure = new Error('no')
  const fail = async (): Promise<string> => Promise.reject(failure)
  const calls = [flights.run('k', 'a', undefined, fail), flights.run('k', 'a', undefined, fail)]
  for (const call of calls) await expect(call).rejects.toBe(failure)
  await expect(flights.run('k', 'a', undefined, async () => 'fine')).resolves.toBe('fine')
})

test('cancelling by owner rejects its callers and aborts what nobody else waits for', async () => {
  const flights = new SingleFlight<string, string>()
  const shared = deferred<string>()
  let aborted = 0
  const start = (controller: AbortController): Promise<string> => {
    controller.signal.addEventListener('abort', () => aborted++)
    return shared.promise
  }
  const alice = flights.run('shared', 'alice', undefined, start)
  const bob = flights.run('shared', 'bob', undefined, start)
  const alone = flights.run('alone', 'alice', undefined, start)
  const reason = new Error('blocked')
  flights.cancel((owner) => owner === 'alice', reason)
  await expect(alice).rejects.toBe(reason)
  await expect(alone).rejects.toBe(reason)
  expect(aborted).toBe(1)
  shared.resolve('for bob')
  await expect(bob).resolves.toBe('for bob')
})

test('an aborted signal starts nothing', async () => {
  const flights = new SingleFlight<string, string>()
  let started = false
  const call = flights.run('k', 'a', AbortSignal.abort('gone'), async () => {
    started = true
    return ''
  })
  await expect(call).rejects.toBe('gone')
  expect(started).toBe(false)
})
