import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  failureOf,
  fakeEngine,
  fakeKdc,
  isRunning,
  never,
  orderFor,
  type Plan,
  reportOf,
  scratch,
  stop,
  warm,
} from '../fixtures/fake-engine.ts'

const obtain = { signal: never }

/** The second token shows the fault: what is in flight is lost, and the next order is served by another process. */
async function survives(fault: NonNullable<Plan['fault']>): Promise<string> {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path, fault })
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const context = await ticket.context({ security: 'integrity' }, undefined)
  const { pid } = await reportOf(ticket)
  kdc.say('hung')
  const other = failureOf(engine.obtain(orderFor('bob'), obtain))
  const tokens = [ticket.token(undefined), ticket.token(undefined)].map(failureOf)
  const errors = await Promise.all([other, ...tokens])
  expect(errors.map(({ kind }) => kind)).toEqual(['lost', 'lost', 'lost'])
  expect(ticket.usable).toBe(false)
  expect((await failureOf(ticket.token(undefined))).kind).toBe('lost')
  expect((await failureOf(context.wrap(Buffer.from('x'), false))).kind).toBe('lost')
  await ticket.release()
  await context.close()
  kdc.say('up')
  const next = await engine.obtain(orderFor('alice'), obtain)
  // The fault is shown at the second token of every process.
  const report = await reportOf(next)
  expect(report.pid).not.toBe(pid)
  await expect.poll(() => isRunning(pid)).toBe(false)
  return errors[0]?.message ?? ''
}

test.each([
  ['a wild pointer', { signal: 'SIGSEGV' }, /signal SIGSEGV/],
  ['a kill', { signal: 'SIGKILL' }, /signal SIGKILL/],
  ['an exit', { exit: 3 }, /exit code 3/],
  ['a frame that cannot be one', { write: 'ffffffff00000000' }, /cannot be understood/],
  ['an answer that nobody asked for', { json: { id: 12345, ok: {} } }, /cannot be understood/],
  ['an answer that is none', { json: { id: 2 } }, /cannot be understood/],
  ['a channel that closes', { closeChannel: true }, /closed its channel/],
])('after %s in-flight calls are lost and the next one works', async (_what, fault, why) => {
  expect(await survives({ op: 'token', at: 2, ...fault })).toMatch(why)
})

test('after a second answer to one call the process is replaced', async () => {
  const { engine } = fakeEngine({ fault: { op: 'token', at: 2, twice: true } })
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const { pid } = await reportOf(ticket)
  await ticket.token(undefined)
  await expect.poll(() => ticket.usable).toBe(false)
  const next = await engine.obtain(orderFor('alice'), obtain)
  expect((await reportOf(next)).pid).not.toBe(pid)
})

test('a process that is stopped answers late, and is killed and replaced', async () => {
  const { engine, lines } = fakeEngine()
  await warm(engine)
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const { pid } = await reportOf(ticket)
  stop(pid)
  const order = failureOf(engine.obtain(orderFor('bob'), obtain))
  const error = await failureOf(ticket.token(undefined))
  expect(error.kind).toBe('late')
  expect(error.took).toBeGreaterThan(990)
  expect(error.took).toBeLessThan(1250)
  expect((await order).kind).toBe('late')
  await expect.poll(() => isRunning(pid), { timeout: 200, interval: 10 }).toBe(false)
  expect(ticket.usable).toBe(false)
  expect(lines.some(({ message }) => message.includes('hangs'))).toBe(true)
  const next = await engine.obtain(orderFor('alice'), obtain)
  expect((await reportOf(next)).pid).not.toBe(pid)
})

test('a process that is stopped while it waits for the KDC says nothing about the KDC', async () => {
  const kdc = fakeKdc()
  const { engine } = fakeEngine({ kdc: kdc.path }, { probeInterval: 60_000 })
  const { pid } = await reportOf(await engine.obtain(orderFor('alice'), obtain))
  kdc.say('hung')
  const users = Array.from({ length: 8 }, (_, index) => failureOf(engine.obtain(orderFor(`user${index}`), obtain)))
  stop(pid)
  for (const error of await Promise.all(users)) expect(error.kind).toBe('late')
  kdc.say('up')
  await expect.poll(() => isRunning(pid), { timeout: 200, interval: 10 }).toBe(false)
  expect((await reportOf(await engine.obtain(orderFor('alice'), obtain))).pid).not.toBe(pid)
})

test('a process that answers others is not replaced for one late answer', async () => {
  const { engine } = fakeEngine({ fault: { op: 'wrap', after: 1500 } })
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const { pid } = await reportOf(ticket)
  const context = await ticket.context({ security: 'integrity' }, undefined)
  const error = await failureOf(context.wrap(Buffer.from('x'), false))
  expect(error.kind).toBe('late')
  expect(error.took).toBeLessThan(1250)
  expect((await reportOf(ticket)).pid).toBe(pid)
  // The late answer itself does no harm either.
  const again = context.wrap(Buffer.from('y'), false)
  expect((await failureOf(again)).kind).toBe('late')
  expect(ticket.usable).toBe(true)
})

test('a context that comes too late is closed in the process', async () => {
  const { engine } = fakeEngine({ fault: { op: 'context', after: 400 } }, { deadline: 200 })
  await warm(engine)
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  expect((await failureOf(ticket.context({ security: undefined }, undefined))).kind).toBe('late')
  await expect.poll(async () => (await reportOf(ticket)).closed).toHaveLength(1)
  expect((await reportOf(ticket)).contexts).toEqual([])
})

test('answers that have come while this process was busy are not late', async () => {
  const { engine } = fakeEngine({}, { deadline: 200 })
  await warm(engine)
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const token = ticket.token(undefined)
  const order = engine.obtain(orderFor('bob'), obtain)
  await new Promise((resolve) => setImmediate(resolve))
  const until = performance.now() + 500
  while (performance.now() < until);
  expect((await token).length).toBeGreaterThan(0)
  expect((await order).facts.client).toBe('bob@CORP.EXAMPLE')
  expect(ticket.usable).toBe(true)
})

test('a process that dies at its start says why, and is not started in a hot loop', async () => {
  const log = join(scratch(), 'starts')
  const { engine, lines } = fakeEngine({ exitAtOnce: 7, startLog: log })
  const until = performance.now() + 1500
  const errors = []
  while (performance.now() < until) {
    errors.push(await failureOf(engine.obtain(orderFor('alice'), obtain)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(errors.at(-1)?.retryAt).toBeGreaterThan(Date.now() - 1)
  expect(errors.length).toBeGreaterThan(100)
  for (const error of errors) {
    expect(error.kind).toBe('lost')
    expect(error.message).toContain('exit code 7')
    expect(error.message).toContain('Cannot find\\u{7} the library')
  }
  // At once, at once again, after 250 ms, after 500 more.
  expect(readFileSync(log, 'utf8').trim().split('\n').length).toBeLessThanOrEqual(5)
  expect(lines.filter(({ level }) => level === 'error').length).toBeLessThanOrEqual(5)
})

test('a process that cannot load its libraries passes that on, each time', async () => {
  const { engine } = fakeEngine({ start: 'load' })
  for (let turn = 0; turn < 4; turn++) {
    const error = await failureOf(engine.obtain(orderFor('alice'), obtain))
    expect(error.kind).toBe('failed')
    expect(error.failure).toEqual({ stage: 'load', text: 'libgssapi is missing' })
  }
})

test('orders that wait for a process that hangs at its start are late', async () => {
  const { engine } = fakeEngine({ start: 'hang' }, { deadline: 300 })
  const error = await failureOf(engine.obtain(orderFor('alice'), obtain))
  expect(error.kind).toBe('late')
  expect(error.took).toBeLessThan(500)
})

test('what the process writes to its standard error is logged at warn, escaped', async () => {
  const { engine, lines } = fakeEngine({ exitAtOnce: 1 })
  await failureOf(engine.obtain(orderFor('alice'), obtain))
  expect(lines).toContainEqual({
    level: 'warn',
    fields: { line: 'Cannot find\\u{7} the library' },
    message: 'the Kerberos process writes',
  })
})
