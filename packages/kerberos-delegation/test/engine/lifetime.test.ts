import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { fakeCommand, fakeKdc, isRunning, type Plan, scratch } from '../fixtures/fake-engine.ts'

const script = fileURLToPath(new URL('../fixtures/parent.mjs', import.meta.url))

interface Parent {
  readonly process: ChildProcess
  readonly ended: Promise<number | NodeJS.Signals>
  /** What it said since it was ready. */
  said(): string
  /** The processes that it has started. */
  readonly children: readonly number[]
  /** What is in its folder for temporary files. */
  leftovers(): string[]
}

/** A server's process of its own over the built engine, when its first token is there. */
async function parent(what: string, plan: Plan = {}): Promise<Parent> {
  expect(existsSync(fileURLToPath(new URL('../../dist/engine/create-engine.js', import.meta.url)))).toBe(true)
  const temporary = scratch()
  const child = spawn(process.execPath, [script, what, '{}', JSON.stringify(fakeCommand(plan))], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, TMPDIR: temporary },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1)),
  )
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.includes('\n')) resolve()
    })
    void ended.then((end) => reject(new Error(`it ended with ${end}`)))
  })
  return {
    process: child,
    leftovers: () => readdirSync(temporary),
    ended,
    said: () => output.slice(output.indexOf('\n') + 1),
    children: output.split(/\s/).filter(Boolean).slice(1).map(Number),
  }
}

const gone = (pids: readonly number[]) =>
  expect.poll(() => pids.filter(isRunning), { timeout: 1000, interval: 10 }).toEqual([])

test('a server that has nothing more to do ends, and its Kerberos process with it', async () => {
  const server = await parent('finish')
  const from = performance.now()
  expect(await server.ended).toBe(0)
  await gone(server.children)
  expect(performance.now() - from).toBeLessThan(1000)
})

test('a server waits for what is in flight before it ends', async () => {
  const server = await parent('finish-after-call', { fault: { op: 'token', at: 2, after: 700 } })
  const from = performance.now()
  expect(await server.ended).toBe(0)
  expect(server.said()).toBe('answered\n')
  expect(performance.now() - from).toBeGreaterThan(600)
  expect(performance.now() - from).toBeLessThan(1700)
})

test.each([
  ['is killed', 'wait', 'SIGKILL'],
  ['is killed while a call is in flight', 'wait-in-call', 'SIGKILL'],
  ['is told to end', 'wait', 'SIGTERM'],
] as const)(
  'when the server %s, its Kerberos process is gone within a second and nothing is left',
  async (_, what, signal) => {
    const kdc = fakeKdc()
    const server = await parent(what, { kdc: kdc.path })
    kdc.say('hung')
    expect(server.children).toHaveLength(1)
    if (what === 'wait-in-call') {
      server.process.kill('SIGUSR2')
      await expect.poll(() => server.said()).toBe('asked\n')
    }
    server.process.kill(signal)
    expect(await server.ended).toBe(signal)
    await gone(server.children)
    expect(server.leftovers()).toEqual([])
  },
)

test('a server that exits or fails with a call in flight leaves nothing behind', async () => {
  for (const [what, code] of [
    ['exit', 0],
    ['throw', 1],
  ] as const) {
    const server = await parent(what)
    expect(server.children).toHaveLength(1)
    expect(await server.ended).toBe(code)
    await gone(server.children)
    expect(server.leftovers()).toEqual([])
  }
})

test('a server without free file descriptors is told so, and lives on', async () => {
  const outOfDescriptors = fileURLToPath(new URL('../fixtures/out-of-descriptors.mjs', import.meta.url))
  const command = 'ulimit -n 64 && exec "$0" "$@"'
  const args = ['-c', command, process.execPath, outOfDescriptors, JSON.stringify(fakeCommand({}))]
  const { stdout } = await promisify(execFile)('bash', args, { env: { ...process.env, TMPDIR: scratch() } })
  const kinds = JSON.parse(stdout) as string[]
  expect(kinds.at(0)).toBe('served')
  expect(kinds.at(-1)).toBe('served')
  expect(new Set(kinds)).toEqual(new Set(['served', 'lost']))
}, 30_000)

test('a server that disposed its engine ends', async () => {
  const server = await parent('dispose')
  expect(await server.ended).toBe(0)
  expect(server.said()).toBe('disposed\n')
})
