import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  children,
  failureOf,
  fakeEngine,
  isRunning,
  never,
  orderFor,
  reportOf,
  scratch,
  stop,
  warm,
} from '../fixtures/fake-engine.ts'

const obtain = { signal: never }

test('a ticket is obtained, makes tokens, and is released in the process', async () => {
  const { engine } = fakeEngine()
  const alice = await engine.obtain(orderFor('alice'), obtain)
  const bob = await engine.obtain(orderFor('bob'), obtain)
  expect(alice.facts).toEqual({ client: 'alice@CORP.EXAMPLE', groups: [], forwardable: true, expiresAt: 1 })
  expect((await reportOf(bob)).tickets).toEqual([1, 2])
  await alice.release()
  await alice.release()
  expect(alice.usable).toBe(false)
  expect((await failureOf(alice.token(undefined))).kind).toBe('closed')
  expect((await failureOf(alice.context({ security: undefined }, undefined))).kind).toBe('closed')
  const report = await reportOf(bob)
  expect(report.tickets).toEqual([2])
  expect(report.counts['release']).toBe(1)
  expect(bob.usable).toBe(true)
})

test('the process is told the account, the keytab and the rules, and nothing of the environment of the server', async () => {
  const temporary = scratch()
  vi.stubEnv('TMPDIR', temporary)
  onTestFinished(() => void vi.unstubAllEnvs())
  const { engine } = fakeEngine({}, { profile: '[libdefaults]\n# the whole of it\n', maxConcurrent: 3 })
  const report = await reportOf(await engine.obtain(orderFor('alice'), obtain))
  expect(report.start).toEqual({
    id: 1,
    op: 'start',
    principal: 'svc-mcp@CORP.EXAMPLE',
    keytabPath: '/nowhere',
    rules: { pac: 'required', deny: [], requireGroupSid: [] },
    maxConcurrent: 11,
  })
  const { PLAN: _, ...env } = report.env
  expect(env).toEqual({
    KRB5_CONFIG: expect.stringMatching(/^\/.*\/mcp-delegation-profile-\w+\/krb5\.conf$/),
    KRB5CCNAME: 'MEMORY:nobody',
    KRB5RCACHENAME: 'none:',
    KRB5RCACHETYPE: 'none',
    KRB5_KTNAME: 'MEMORY:nobody',
    KRB5_CLIENT_KTNAME: 'MEMORY:nobody',
    SSSD_KRB5_LOCATOR_DISABLE: '1',
    _NO_WINBINDD: '1',
  })
  expect(report.cwd).toBe('/')
  expect(report.profile).toBe('[libdefaults]\n# the whole of it\n32')
  const path = report.env['KRB5_CONFIG'] ?? ''
  expect([statSync(path).mode & 0o777, statSync(dirname(path)).mode & 0o777]).toEqual([0o600, 0o700])
  expect(readdirSync(temporary)).toEqual([])
  await engine.dispose()
  await expect.poll(() => existsSync(dirname(path))).toBe(false)
})

test('one process serves all, and none is started before it is needed', async () => {
  const log = join(scratch(), 'starts')
  const { engine } = fakeEngine({ startLog: log })
  expect(existsSync(log)).toBe(false)
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => engine.obtain(orderFor(name), obtain)))
  await engine.check(obtain)
  expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(1)
})

test('what the process says of a failure arrives whole', async () => {
  const { engine } = fakeEngine()
  const error = await failureOf(engine.obtain(orderFor('nobody'), obtain))
  expect(error.kind).toBe('failed')
  expect(error.failure).toEqual({ stage: 'self', text: 'unknown', major: 1, minor: -1765328378 })
})

test('a security context is stepped through, wraps, and is closed in the process', async () => {
  const { engine } = fakeEngine()
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const context = await ticket.context({ security: 'confidentiality' }, undefined)
  expect(Buffer.from(context.token).toString()).toBe('first')
  expect(context.done).toBe(false)
  expect([...(await context.step(Buffer.from('reply')))]).toEqual([...Buffer.from('reply')])
  expect(context.done).toBe(true)
  const large = Buffer.alloc(300_000, 'x')
  expect(Buffer.compare(await context.wrap(large, false), large)).toBe(0)
  expect((await context.unwrap(Buffer.alloc(0), false)).length).toBe(0)
  expect((await reportOf(ticket)).contexts).toHaveLength(1)
  await context.close()
  await context.close()
  expect((await reportOf(ticket)).contexts).toEqual([])
  expect((await failureOf(context.wrap(large, false))).kind).toBe('closed')
})

test('a message that is longer than a frame is refused, and the process lives on', async () => {
  const { engine } = fakeEngine()
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const context = await ticket.context({ security: 'integrity' }, undefined)
  const error = await failureOf(context.wrap(Buffer.alloc(16 * 1024 * 1024), false))
  expect(error.failure?.stage).toBe('context')
  expect(ticket.usable).toBe(true)
})

test('a token shares its memory with nothing', async () => {
  const { engine } = fakeEngine()
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const tokens = await Promise.all(Array.from({ length: 5 }, () => ticket.token(undefined)))
  for (const token of tokens) expect(token.buffer.byteLength).toBe(token.length)
})

test('an exported file is removed while the process lives, and after', async () => {
  const { engine } = fakeEngine()
  const folder = scratch()
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  await ticket.exportTo(join(folder, 'one'))
  await ticket.exportTo(join(folder, 'two'))
  await ticket.remove(join(folder, 'one'))
  await ticket.remove(join(folder, 'one'))
  expect(readdirSync(folder)).toEqual(['two'])
  expect((await reportOf(ticket)).removed).toContain(join(folder, 'one'))
  await engine.dispose()
  await ticket.remove(join(folder, 'two'))
  expect(readdirSync(folder)).toEqual([])
  mkdirSync(join(folder, 'three'))
  expect((await failureOf(ticket.remove(join(folder, 'three')))).failure?.stage).toBe('export')
})

test('a file whose export was answered too late is removed', async () => {
  const { engine } = fakeEngine({ fault: { op: 'export', after: 400 } }, { deadline: 200 })
  await warm(engine)
  const path = join(scratch(), 'late')
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  expect((await failureOf(ticket.exportTo(path))).kind).toBe('late')
  writeFileSync(path, 'written meanwhile')
  await expect.poll(() => existsSync(path)).toBe(false)
})

test('a file whose export was cut short by the end of the process is removed', async () => {
  const { engine } = fakeEngine({ fault: { op: 'export', signal: 'SIGSEGV' } })
  const path = join(scratch(), 'short')
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  writeFileSync(path, 'the beginning')
  expect((await failureOf(ticket.exportTo(path))).kind).toBe('lost')
  await expect.poll(() => existsSync(path)).toBe(false)
})

test('dispose rejects what is in flight, ends the process, and can be repeated', async () => {
  const { engine } = fakeEngine({ fault: { op: 'token', at: 2, after: 5000 } }, { deadline: 10_000 })
  const ticket = await engine.obtain(orderFor('alice'), obtain)
  const { pid } = await reportOf(ticket)
  const token = failureOf(ticket.token(undefined))
  const from = performance.now()
  await Promise.all([engine.dispose(), engine.dispose()])
  expect(performance.now() - from).toBeLessThan(500)
  expect(isRunning(pid)).toBe(false)
  expect((await token).kind).toBe('closed')
  expect(ticket.usable).toBe(false)
  await ticket.release()
  expect((await failureOf(engine.obtain(orderFor('bob'), obtain))).kind).toBe('closed')
  expect((await failureOf(engine.check(obtain))).kind).toBe('closed')
  await engine.dispose()
})

test('dispose kills a process that does not end by itself', async () => {
  const { engine } = fakeEngine({ stays: true })
  const { pid } = await reportOf(await engine.obtain(orderFor('alice'), obtain))
  const from = performance.now()
  await engine.dispose()
  const took = performance.now() - from
  expect(isRunning(pid)).toBe(false)
  expect(took).toBeGreaterThan(400)
  expect(took).toBeLessThan(800)
})

test('dispose does not wait for a process that is stopped', async () => {
  const { engine } = fakeEngine()
  const { pid } = await reportOf(await engine.obtain(orderFor('alice'), obtain))
  stop(pid)
  await engine.dispose()
  expect(isRunning(pid)).toBe(false)
})

test('dispose while the process starts ends it, and what waited for it', async () => {
  const { engine } = fakeEngine({ start: 'hang' }, { deadline: 10_000 })
  const order = failureOf(engine.obtain(orderFor('alice'), obtain))
  await expect.poll(() => children().length).toBe(1)
  const [pid] = children() as [number]
  const from = performance.now()
  await engine.dispose()
  expect(performance.now() - from).toBeLessThan(1000)
  expect((await order).kind).toBe('closed')
  expect(isRunning(pid)).toBe(false)
})

test('an engine that was never used is disposed at once', async () => {
  const { engine } = fakeEngine()
  await engine.dispose()
  expect((await failureOf(engine.obtain(orderFor('alice'), obtain))).kind).toBe('closed')
})
