import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { type ActiveDirectory, activeDirectory, isAvailable, missing } from '@mcp-delegation/labs/active-directory'
import { afterAll, test as anywhere, beforeAll, expect, onTestFinished, type TestAPI } from 'vitest'
import type { createEngine as create } from '../../src/engine/create-engine.ts'
import type { Engine, EngineOptions, Ticket } from '../../src/engine/engine.ts'
import { profileText } from '../../src/profile.ts'
import { children, isRunning, never, orderFor, stop } from '../fixtures/fake-engine.ts'

/** A test that needs the domain. */
const test = anywhere.runIf(isAvailable('the Active Directory lab', missing())) as TestAPI

// The built engine runs the built process; so its errors are of the built class, too.
const built = new URL('../../dist/engine/create-engine.js', import.meta.url).href
const parentScript = fileURLToPath(new URL('../fixtures/parent.mjs', import.meta.url))
const obtain = { signal: never }
const DEADLINE = 2000
const PROBE_INTERVAL = 500

let lab: ActiveDirectory
let createEngine: typeof create

beforeAll(async () => {
  expect(existsSync(fileURLToPath(built))).toBe(true)
  ;({ createEngine } = (await import(built)) as { createEngine: typeof create })
  lab = await activeDirectory()
}, 60_000)

afterAll(async () => {
  await lab?.dispose()
})

const ignore = (): void => {}

const optionsOf = (): EngineOptions => ({
  principal: 'svc-mcp@CORP.EXAMPLE',
  keytabPath: lab.keytab('svc-mcp'),
  rules: { pac: 'required', deny: [], requireGroupSid: [] },
  maxConcurrent: 8,
  profile: profileText({ realm: 'CORP.EXAMPLE', kdc: lab.kdc, ticketLifetime: 3_600_000 }),
  deadline: DEADLINE,
  probeInterval: PROBE_INTERVAL,
  log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
})

/** An engine with one ticket of alice, and the process that holds it. */
async function running(): Promise<{ readonly engine: Engine; readonly alice: Ticket; readonly pid: number }> {
  const before = new Set(children())
  const engine = createEngine(optionsOf())
  onTestFinished(() => engine.dispose())
  const alice = await engine.obtain(orderFor('alice'), obtain)
  const [pid] = children().filter(
    (child) => !before.has(child) && readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('engine/main.js'),
  )
  if (pid === undefined) throw new Error('no process was started')
  return { engine, alice, pid }
}

interface Outcome {
  readonly kind: string
  readonly took: number
}

/** How it ended, `served` where it did not fail, and after how many milliseconds. */
async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  const from = performance.now()
  const kind = await work.then(
    () => 'served',
    (error: { kind?: string }) => error.kind ?? String(error),
  )
  return { kind, took: performance.now() - from }
}

const gone = (pids: readonly number[]) =>
  expect.poll(() => pids.filter(isRunning), { timeout: 1000, interval: 10 }).toEqual([])

const people = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `user${String(index + 1).padStart(2, '0')}`)

test.each(['SIGSEGV', 'SIGKILL', 'SIGABRT'] as const)(
  'after %s of the process all in-flight calls are lost, and the next one works',
  async (signal) => {
    const { engine, alice, pid } = await running()
    const context = await alice.context({ security: 'integrity' }, undefined)
    lab.pause()
    try {
      const inFlight = ['bob', 'user01'].map((name) => outcomeOf(engine.obtain(orderFor(name), obtain)))
      await new Promise((resolve) => setTimeout(resolve, 50))
      process.kill(pid, signal)
      for (const outcome of await Promise.all(inFlight)) {
        expect(outcome.kind).toBe('lost')
        expect(outcome.took).toBeLessThan(500)
      }
    } finally {
      lab.resume()
    }
    expect(alice.usable).toBe(false)
    expect((await outcomeOf(alice.token(undefined))).kind).toBe('lost')
    expect((await outcomeOf(context.step(Buffer.from('x')))).kind).toBe('lost')
    const next = await engine.obtain(orderFor('alice'), obtain)
    expect((await next.token(undefined)).length).toBeGreaterThan(500)
    await gone([pid])
  },
)

test('a process that is stopped is late at the deadline, killed and replaced', async () => {
  const { engine, alice, pid } = await running()
  stop(pid)
  const outcome = await outcomeOf(alice.token(undefined))
  expect(outcome.kind).toBe('late')
  expect(outcome.took).toBeLessThan(DEADLINE + 200)
  await gone([pid])
  expect(alice.usable).toBe(false)
  const next = await engine.obtain(orderFor('alice'), obtain)
  expect((await next.token(undefined)).length).toBeGreaterThan(500)
})

test('a KDC that hangs costs each order its deadline at most, and nothing else anything', async () => {
  const { engine, alice, pid } = await running()
  const delay = monitorEventLoopDelay({ resolution: 5 })
  let slowestStat = 0
  let slowestToken = 0
  let hangs = true
  lab.pause()
  delay.enable()
  const others = (async () => {
    while (hangs) {
      const from = performance.now()
      await stat('/')
      const between = performance.now()
      await alice.token(undefined)
      slowestStat = Math.max(slowestStat, between - from)
      slowestToken = Math.max(slowestToken, performance.now() - between)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  try {
    const first = await Promise.all(people(20).map((name) => outcomeOf(engine.obtain(orderFor(name), obtain))))
    for (const { kind, took } of first) {
      expect(['late', 'open']).toContain(kind)
      expect(took).toBeLessThan(DEADLINE + 200)
    }
    // The gate is shut within milliseconds of the first late order.
    await new Promise((resolve) => setTimeout(resolve, 50))
    const second = await Promise.all(people(20).map((name) => outcomeOf(engine.obtain(orderFor(name), obtain))))
    for (const { kind, took } of second) {
      expect(kind).toBe('open')
      expect(took).toBeLessThan(50)
    }
  } finally {
    lab.resume()
    hangs = false
  }
  const from = performance.now()
  await others
  delay.disable()
  while ((await outcomeOf(engine.obtain(orderFor('bob'), obtain))).kind !== 'served') {
    expect(performance.now() - from).toBeLessThan(PROBE_INTERVAL + 1000)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  expect(performance.now() - from).toBeLessThan(PROBE_INTERVAL + 1000)
  const after = await Promise.all(people(20).map((name) => outcomeOf(engine.obtain(orderFor(name), obtain))))
  expect(after.filter(({ kind }) => kind !== 'served')).toEqual([])
  // The process and the tickets that it held went through it.
  expect(alice.usable).toBe(true)
  expect(isRunning(pid)).toBe(true)
  // Whatever waited for the KDC would have taken the deadline; a machine under load takes some of it, too.
  expect(slowestStat).toBeLessThan(DEADLINE / 4)
  expect(slowestToken).toBeLessThan(DEADLINE / 4)
  expect(delay.max / 1e6).toBeLessThan(DEADLINE / 4)
})

test('a KDC that hangs for long: the process and its tickets live on', async () => {
  const { engine, alice, pid } = await running()
  lab.pause()
  try {
    await Promise.all(people(8).map((name) => outcomeOf(engine.obtain(orderFor(name), obtain))))
    for (let probe = 0; probe < 3; probe++) {
      await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL + 50))
      const { kind, took } = await outcomeOf(engine.obtain(orderFor('bob'), obtain))
      expect(kind).toBe('late')
      expect(took).toBeLessThan(DEADLINE + 200)
    }
    expect((await outcomeOf(alice.token(undefined))).kind).toBe('served')
  } finally {
    lab.resume()
  }
  await expect
    .poll(async () => (await outcomeOf(engine.obtain(orderFor('bob'), obtain))).kind, { timeout: 5000, interval: 20 })
    .toBe('served')
  expect(alice.usable).toBe(true)
  expect(isRunning(pid)).toBe(true)
})

test('a KDC that refuses connections is reported at once, and used at once when it is back', async () => {
  const { engine } = await running()
  await lab.halt()
  try {
    for (let turn = 0; turn < 12; turn++) {
      const outcome = await outcomeOf(engine.obtain(orderFor('bob'), obtain))
      expect(outcome.kind).toBe('failed')
      expect(outcome.took).toBeLessThan(300)
    }
  } finally {
    await lab.restart()
  }
  expect((await outcomeOf(engine.obtain(orderFor('bob'), obtain))).kind).toBe('served')
})

test('dispose ends a process whose threads wait for the KDC', async () => {
  const { engine, pid } = await running()
  lab.pause()
  try {
    const orders = people(8).map((name) => outcomeOf(engine.obtain(orderFor(name), obtain)))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const from = performance.now()
    await engine.dispose()
    expect(performance.now() - from).toBeLessThan(700)
    expect(isRunning(pid)).toBe(false)
    for (const { kind } of await Promise.all(orders)) expect(kind).toBe('closed')
  } finally {
    lab.resume()
  }
})

test.each([
  ['killed', 'wait', 'SIGKILL'],
  ['killed while the KDC hangs', 'wait-in-call', 'SIGKILL'],
  ['through', 'finish', undefined],
  ['disposed', 'dispose', undefined],
] as const)('when the server is %s, it and its Kerberos process are gone within a second', async (_, what, signal) => {
  const { log: _log, ...options } = optionsOf()
  const server = spawn(process.execPath, [parentScript, what, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  const ended = new Promise<unknown>((resolve) => server.once('exit', (code, name) => resolve(name ?? code)))
  let output = ''
  await new Promise<void>((resolve, reject) => {
    server.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.includes('\n')) resolve()
    })
    void ended.then(() => reject(new Error('it ended too early')))
  })
  const pids = (output.split('\n')[0] ?? '').split(' ').slice(1).filter(Boolean).map(Number)
  expect(pids).toHaveLength(1)
  if (what === 'wait-in-call') {
    lab.pause()
    onTestFinished(() => lab.resume())
    server.kill('SIGUSR2')
    await expect.poll(() => output).toContain('asked')
  }
  const from = performance.now()
  if (signal !== undefined) server.kill(signal)
  expect(await ended).toBe(signal ?? 0)
  await gone(pids)
  expect(performance.now() - from).toBeLessThan(1000)
})
