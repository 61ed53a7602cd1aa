import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  type ActiveDirectory,
  type ApacheBackend,
  activeDirectory,
  apacheBackend,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, expect } from 'vitest'
import { BACKEND, disposing, seenBy, test } from './support.ts'

let lab: ActiveDirectory
let backend: ApacheBackend

beforeAll(async () => {
  lab = await activeDirectory()
  backend = await apacheBackend(lab)
}, 60_000)

afterAll(async () => {
  await backend?.dispose()
  await lab?.dispose()
})

const open = disposing()

/** The helper processes of this process. */
function engines(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
        return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('engine/main.js')
      } catch {
        return false
      }
    })
}

test.each(['SIGKILL', 'SIGSEGV'] as const)(
  'after a %s of the helper process what it held fails, and the next call is issued anew',
  async (signal) => {
    const { ask, audit } = open(lab)
    const ticket = await ask('alice')
    const value = ticket.value
    const [pid] = engines()
    if (pid === undefined) throw new Error('there is no helper process')
    process.kill(pid, signal)
    await expect.poll(() => engines().includes(pid)).toBe(false)
    await expect(value.negotiate()).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
    const again = await ask('alice')
    expect(await seenBy(backend.origin, await again.value.negotiate())).toBe('alice@CORP.EXAMPLE')
    expect(audit.records.map((record) => 'outcome' in record && record.outcome)).toEqual(['issued', 'issued'])
  },
)

test('what is in flight when the helper process dies is unavailable', async () => {
  const { ask } = open(lab)
  const value = (await ask('alice')).value
  const [pid = 0] = engines()
  process.kill(pid, 'SIGSTOP')
  const inFlight = [ask('bob'), ask('user01'), value.negotiate()]
  process.kill(pid, 'SIGKILL')
  for (const call of inFlight) await expect(call).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  await expect(ask('bob')).resolves.toMatchObject({ principal: 'bob@CORP.EXAMPLE' })
})

test('a helper process that hangs is replaced', async () => {
  const { ask } = open(lab, { deadline: 2_000 })
  const value = (await ask('alice')).value
  const [pid = 0] = engines()
  process.kill(pid, 'SIGSTOP')
  await expect(value.negotiate()).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
    cause: { reason: 'engine-stopped' },
  })
  await expect.poll(() => engines().includes(pid)).toBe(false)
  await expect
    .poll(
      () =>
        ask('alice').then(
          ({ principal }) => principal,
          () => 'not yet',
        ),
      { timeout: 10_000 },
    )
    .toBe('alice@CORP.EXAMPLE')
})

test('what the process of the server has in its environment and its caches never gets into a token', async () => {
  const cache = lab.ccache('of-bob')
  await lab.run('kinit', ['-k', '-t', lab.keytab('users'), 'bob@CORP.EXAMPLE'], { ccache: 'of-bob' })
  await lab.run('kvno', [`${BACKEND}@CORP.EXAMPLE`], { ccache: 'of-bob' })
  expect(existsSync(cache)).toBe(true)
  const before = { ...process.env }
  Object.assign(process.env, {
    KRB5CCNAME: `FILE:${cache}`,
    KRB5_CONFIG: lab.krb5Conf,
    KRB5_KTNAME: lab.keytab('users'),
    KRB5_CLIENT_KTNAME: lab.keytab('users'),
    KRB5_TRACE: lab.ccache('trace'),
  })
  try {
    const { ask } = open(lab)
    const value = (await ask('alice')).value
    expect(await seenBy(backend.origin, await value.negotiate())).toBe('alice@CORP.EXAMPLE')
    const [pid] = engines()
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
    expect(environment).not.toContain(lab.folder)
    expect(existsSync(lab.ccache('trace'))).toBe(false)
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
})

test('nothing is on disk but the profile, which goes with the process', async () => {
  const own = mkdtempSync(join(lab.folder, 'tmp-'))
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = own
  try {
    const { ask, registry } = open(lab)
    await (await ask('alice')).value.negotiate()
    expect(readdirSync(own)).toEqual([])
    const [pid] = engines()
    const profile = /(?:^|\0)KRB5_CONFIG=([^\0]+)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1] ?? ''
    expect(readdirSync(dirname(profile))).toEqual(['krb5.conf'])
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    expect(files.filter((path) => path.startsWith('/') && !/^\/(?:dev|proc)\/| \(deleted\)$/.test(path))).toEqual([])
    await registry[Symbol.asyncDispose]()
    await expect.poll(() => existsSync(dirname(profile))).toBe(false)
  } finally {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
})

test('a profile that somebody removed is written anew, and no other settings are used', async () => {
  const { ask } = open(lab)
  const kept = await ask('alice')
  const [pid] = engines()
  const profile = /(?:^|\0)KRB5_CONFIG=([^\0]+)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1] ?? ''
  rmSync(dirname(profile), { recursive: true })
  await expect(kept.value.negotiate()).resolves.toMatch(/^Negotiate /)
  await expect(ask('bob')).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
    cause: { reason: 'engine-stopped' },
  })
  await expect(ask('bob')).resolves.toMatchObject({ principal: 'bob@CORP.EXAMPLE' })
})

test('the helper process leaves no core dump', async () => {
  const { ask } = open(lab)
  await ask('alice')
  const [pid] = engines()
  expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size\s+0\s+0\s/m)
})
