import { expect, test } from 'vitest'
import { failureOf, fakeEngine, fakeKdc, never, orderFor, reportOf, warm } from '../fixtures/fake-engine.ts'

const obtain = { signal: never }
const users = (count: number): string[] => Array.from({ length: count }, (_, index) => `user${index}`)
const turn = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

test('no more orders than threads are with the process, the others wait', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { maxConcurrent: 3 })
  await warm(engine)
  const held = await engine.obtain(orderFor('first'), obtain)
  kdc.say('hung')
  const orders = users(10).map((name) => engine.obtain(orderFor(name), obtain))
  await expect.poll(async () => (await reportOf(held)).counts['obtain']).toBe(4)
  expect((await reportOf(held)).counts['obtain']).toBe(4)
  kdc.say('up')
  expect((await Promise.all(orders)).map(({ facts }) => facts.client)).toEqual(
    users(10).map((name) => `${name}@CORP.EXAMPLE`),
  )
  expect((await reportOf(held)).tickets).toHaveLength(11)
})

test('an order that is aborted rejects with the reason of its signal, and its ticket is released', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { maxConcurrent: 1 })
  await warm(engine)
  const held = await engine.obtain(orderFor('first'), obtain)
  kdc.say('hung')
  const caller = new AbortController()
  const sent = engine.obtain(orderFor('alice'), { signal: caller.signal })
  const queued = engine.obtain(orderFor('bob'), { signal: caller.signal })
  const reason = new Error('the caller left')
  caller.abort(reason)
  await expect(sent).rejects.toBe(reason)
  await expect(queued).rejects.toBe(reason)
  await expect(engine.obtain(orderFor('carol'), { signal: caller.signal })).rejects.toBe(reason)
  await expect(engine.check({ signal: caller.signal })).rejects.toBe(reason)
  kdc.say('up')
  await expect.poll(async () => (await reportOf(held)).counts['release']).toBe(1)
  const report = await reportOf(held)
  expect(report.tickets).toEqual([1])
  expect(report.counts['obtain']).toBe(2)
})

test('an order is late at its deadline, and the ticket that comes after all is released', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { maxConcurrent: 1, deadline: 500 })
  await warm(engine)
  const held = await engine.obtain(orderFor('first'), obtain)
  kdc.say('hung')
  const [sent, queued] = [orderFor('alice'), orderFor('bob')].map((order) => failureOf(engine.obtain(order, obtain)))
  expect((await sent)?.kind).toBe('late')
  // The first that is late has the KDC left alone: by that a second one may be refused at the same moment.
  expect(['late', 'open']).toContain((await queued)?.kind)
  for (const error of [await sent, await queued]) {
    expect(error?.took).toBeGreaterThan(490)
    expect(error?.took).toBeLessThan(700)
  }
  kdc.say('up')
  await expect.poll(async () => (await reportOf(held)).counts['release']).toBe(1)
  expect((await reportOf(held)).tickets).toEqual([1])
})

test('check takes a thread and no ticket', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { deadline: 300 })
  await warm(engine)
  kdc.say('hung')
  const error = await failureOf(engine.check(obtain))
  expect(error.kind).toBe('late')
  expect(error.took).toBeLessThan(500)
})

test('a KDC that hangs: every order is answered in time, and all is normal again soon after its return', async () => {
  const kdc = fakeKdc()
  const { engine, lines } = fakeEngine({ kdc: kdc.path }, { probeInterval: 400 })
  await warm(engine)
  const held = await engine.obtain(orderFor('first'), obtain)
  const { pid } = await reportOf(held)
  kdc.say('hung')
  const errors = await Promise.all(users(30).map((name) => failureOf(engine.obtain(orderFor(name), obtain))))
  for (const error of errors) {
    expect(['late', 'open']).toContain(error.kind)
    expect(error.took).toBeLessThan(1250)
  }
  await expect.poll(() => lines.filter(({ level }) => level === 'warn')).toHaveLength(1)

  const refused = await failureOf(engine.obtain(orderFor('alice'), obtain))
  expect(refused.kind).toBe('open')
  expect(refused.took).toBeLessThan(20)
  expect(refused.retryAt).toBeGreaterThan(Date.now())
  expect(refused.retryAt).toBeLessThanOrEqual(Date.now() + 400)

  // A ticket that is held needs no KDC.
  expect((await reportOf(held)).pid).toBe(pid)

  kdc.say('up')
  const back = performance.now()
  for (;;) {
    const error = await failureOf(
      engine.obtain(orderFor('alice'), obtain).then((ticket) => {
        expect(ticket.usable).toBe(true)
        return Promise.reject(new DOMException('served', 'AbortError'))
      }),
    ).catch((reason: unknown) => reason)
    if (error instanceof DOMException) break
    await turn(20)
  }
  expect(performance.now() - back).toBeLessThan(1400)
  expect((await Promise.all(users(20).map((name) => engine.obtain(orderFor(name), obtain)))).length).toBe(20)
  expect(held.usable).toBe(true)
})

test('while the probe is under way the others are refused', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { probeInterval: 100, deadline: 500 })
  await warm(engine)
  kdc.say('hung')
  await Promise.all(users(5).map((name) => failureOf(engine.obtain(orderFor(name), obtain))))
  await turn(120)
  const errors = await Promise.all(users(5).map((name) => failureOf(engine.obtain(orderFor(name), obtain))))
  expect(errors.map(({ kind }) => kind)).toEqual(['late', 'open', 'open', 'open', 'open'])
})

test('each probe of a silent KDC has a spare thread, and when those are stuck too it gets a new process', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { probeInterval: 100, deadline: 200 })
  await warm(engine)
  const held = await engine.obtain(orderFor('first'), obtain)
  const { pid } = await reportOf(held)
  kdc.say('hung')
  await Promise.all(users(8).map((name) => failureOf(engine.obtain(orderFor(name), obtain))))
  for (let probe = 0; probe < 9; probe++) {
    expect(held.usable).toBe(true)
    expect((await reportOf(held)).pid).toBe(pid)
    await turn(120)
    const { kind, took } = await failureOf(engine.obtain(orderFor('alice'), obtain))
    expect(kind).toBe('late')
    expect(took).toBeLessThan(400)
  }
  expect(held.usable).toBe(false)
  kdc.say('up')
  await turn(120)
  expect((await reportOf(await engine.obtain(orderFor('alice'), obtain))).pid).not.toBe(pid)
})

test('stuck threads that answer after all are threads again', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { maxConcurrent: 8, probeInterval: 100, deadline: 300 })
  await warm(engine)
  const held = await engine.obtain(orderFor('first'), obtain)
  const { pid } = await reportOf(held)
  for (let round = 0; round < 2; round++) {
    kdc.say('hung')
    await Promise.all(users(8).map((name) => failureOf(engine.obtain(orderFor(name), obtain))))
    kdc.say('up')
    await expect.poll(async () => (await reportOf(held)).counts['release']).toBe(8 * (round + 1))
    await turn(120)
    expect((await reportOf(await engine.obtain(orderFor('alice'), obtain))).pid).toBe(pid)
  }
})

test('one user for whom the KDC is slow does not keep it from the others', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { deadline: 200 })
  await warm(engine)
  await engine.obtain(orderFor('first'), obtain)
  kdc.say('slow@CORP.EXAMPLE')
  for (let round = 0; round < 3; round++) {
    const slow = [1, 2].map(() => failureOf(engine.obtain(orderFor('slow'), obtain)))
    for (const error of await Promise.all(slow)) expect(error.kind).toBe('late')
    expect((await engine.obtain(orderFor('alice'), obtain)).usable).toBe(true)
  }
})

test('a refusal of the KDC is an answer', async () => {
  const { engine } = fakeEngine()
  for (const name of users(20)) {
    const error = await failureOf(engine.obtain(orderFor(`nobody-${name}`), obtain))
    expect(error.kind).toBe('failed')
  }
})
