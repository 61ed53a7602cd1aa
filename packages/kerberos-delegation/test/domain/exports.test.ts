import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { DelegationRegistry, type Session } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { kerberosDelegation } from '@mcp-delegation/kerberos'
import {
  type ActiveDirectory,
  type ApacheBackend,
  activeDirectory,
  apacheBackend,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, expect } from 'vitest'
import { volatileFolder } from '../../src/volatile-folder.ts'
import { BACKEND, disposing, ISSUER, optionsFor, session, test } from './support.ts'

const run = promisify(execFile)
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

const klist = async (path: string): Promise<string> =>
  (await run('klist', ['-f', '-c', `FILE:${path}`], { env: { ...process.env, KRB5_CONFIG: lab.krb5Conf } })).stdout

const gone = (path: string) =>
  expect.poll(() => existsSync(path) || existsSync(dirname(path)), { timeout: 2_000, interval: 10 }).toBe(false)

test('an exported cache holds the one ticket, for us alone, and other programs act with it as the user', async () => {
  const { ask, audit } = open(lab, { allowExport: [BACKEND] })
  const ticket = await ask('alice')
  const cache = await ticket.value.exportCredentialCache()
  expect(statSync(cache.path).mode & 0o777).toBe(0o600)
  expect(statSync(dirname(cache.path)).mode & 0o777).toBe(0o700)
  const listed = await klist(cache.path)
  expect(listed).toContain('Default principal: alice@CORP.EXAMPLE')
  expect(listed.match(/^\d\d\/\d\d\/.*$/gm)).toEqual([expect.stringContaining(`${BACKEND}@CORP.EXAMPLE`)])
  expect(listed).not.toContain('krbtgt')
  const { stdout } = await run('/usr/bin/python3', ['-c', CLIENT, 'backend.corp.example', backend.origin], {
    env: { ...process.env, KRB5_CONFIG: lab.krb5Conf, KRB5CCNAME: `FILE:${cache.path}` },
  })
  expect(stdout.trim()).toBe('alice@CORP.EXAMPLE')
  expect(audit.records.filter(({ event }) => event === 'export')).toMatchObject([
    { outcome: 'exported', subject: 'alice', principal: 'alice@CORP.EXAMPLE', target: BACKEND, module: 'intranet' },
  ])
  await cache[Symbol.asyncDispose]()
  await cache[Symbol.asyncDispose]()
  expect(existsSync(dirname(cache.path))).toBe(false)
})

/** A client that knows nothing of us: GSSAPI through libgssapi and the default credential cache. */
const CLIENT = `
import ctypes, base64, sys, urllib.request
g = ctypes.CDLL('libgssapi_krb5.so.2')
class Buf(ctypes.Structure): _fields_ = [('length', ctypes.c_size_t), ('value', ctypes.c_void_p)]
class Oid(ctypes.Structure): _fields_ = [('length', ctypes.c_uint32), ('elements', ctypes.c_char_p)]
minor = ctypes.c_uint32()
text = b'HTTP@' + sys.argv[1].encode()
hostbased = Oid(10, bytes.fromhex('2a864886f71201020104'))
krb5 = Oid(9, bytes.fromhex('2a864886f712010202'))
name = ctypes.c_void_p()
keep = ctypes.create_string_buffer(text)
buf = Buf(len(text), ctypes.cast(keep, ctypes.c_void_p))
major = g.gss_import_name(ctypes.byref(minor), ctypes.byref(buf), ctypes.byref(hostbased), ctypes.byref(name))
assert major == 0, ('import', hex(major))
context, out = ctypes.c_void_p(), Buf()
major = g.gss_init_sec_context(ctypes.byref(minor), None, ctypes.byref(context), name, ctypes.byref(krb5), 0, 0, None, None, None, ctypes.byref(out), None, None)
assert major >> 16 == 0, ('init', hex(major), minor.value)
token = ctypes.string_at(out.value, out.length)
request = urllib.request.Request(sys.argv[2], headers={'Authorization': 'Negotiate ' + base64.b64encode(token).decode()})
print(urllib.request.urlopen(request).read().decode().strip())
`

test('a cache is gone when its lease ends, and the ticket works on', async () => {
  const { ask } = open(lab, { allowExport: [BACKEND] })
  const one = await ask('alice')
  const other = await ask('alice')
  const { path } = await one.value.exportCredentialCache()
  const { path: kept } = await other.value.exportCredentialCache()
  expect(path).not.toBe(kept)
  await one[Symbol.asyncDispose]()
  await gone(path)
  expect(existsSync(kept)).toBe(true)
  await expect(other.value.negotiate()).resolves.toMatch(/^Negotiate /)
  await expect(one.value.negotiate()).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
})

test('a cache is gone when the lease expires', async () => {
  const { ask } = open(lab, { allowExport: [BACKEND] })
  const short = testSession({ issuer: ISSUER, subject: 'alice', expiresAt: new Date(Date.now() + 1_500) })
  const { path } = await (await ask(short)).value.exportCredentialCache()
  expect(existsSync(path)).toBe(true)
  await expect.poll(() => existsSync(dirname(path)), { timeout: 5_000, interval: 20 }).toBe(false)
})

test('a block ends everything: the cache, the contexts and the tokens', async () => {
  const { ask, registry } = open(lab, { allowExport: [BACKEND] })
  const ticket = await ask('alice')
  const value = ticket.value
  const { path } = await value.exportCredentialCache()
  const context = await value.context({ security: 'integrity' })
  await registry.block({ issuer: ISSUER, subject: 'alice' })
  await gone(path)
  for (const use of [value.negotiate(), value.context(), value.exportCredentialCache(), context.step()])
    await expect(use).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  expect(() => ticket.value).toThrow(expect.objectContaining({ code: 'ERR_SESSION_BLOCKED' }))
})

test('the end of a session ends what was lent to it, and nothing of another session of the user', async () => {
  const { ask, registry } = open(lab, { allowExport: [BACKEND] })
  const [ending, staying] = [1, 2].map(() => testSession({ issuer: ISSUER, subject: 'alice' })) as [Session, Session]
  const one = (await ask(ending)).value
  const other = (await ask(staying)).value
  const { path } = await one.exportCredentialCache()
  const { path: kept } = await other.exportCredentialCache()
  const context = await one.context({ security: 'integrity' })
  const inFlight = one.exportCredentialCache()
  await registry.endSession(ending)
  for (const use of [inFlight, one.negotiate(), one.exportCredentialCache(), context.step()])
    await expect(use).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
  await gone(path)
  expect(existsSync(kept)).toBe(true)
  await expect(other.negotiate()).resolves.toMatch(/^Negotiate /)
})

test('a block reaches what is not in the cache any more', async () => {
  const { ask, registry } = open(lab, { allowExport: [BACKEND] })
  const ticket = await ask('alice')
  const value = ticket.value
  const { path } = await value.exportCredentialCache()
  ticket.invalidate()
  await ask('alice')
  await expect(value.negotiate()).resolves.toMatch(/^Negotiate /)
  await registry.block({ issuer: ISSUER, subject: 'alice' })
  await gone(path)
  await expect(value.negotiate()).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
})

test('a cache is gone when the registry is disposed', async () => {
  const { ask, registry } = open(lab, { allowExport: [BACKEND] })
  const { path } = await (await ask('alice')).value.exportCredentialCache()
  await registry[Symbol.asyncDispose]()
  expect(existsSync(dirname(path))).toBe(false)
})

test('without "allowExport" nothing is exported, and the attempt is recorded', async () => {
  const { ask, audit } = open(lab, { allowExport: ['cifs/files.corp.example'] })
  await expect((await ask('alice')).value.exportCredentialCache()).rejects.toMatchObject({
    code: 'ERR_DELEGATION_DENIED',
  })
  expect(audit.records.filter(({ event }) => event === 'export')).toMatchObject([
    { outcome: 'refused', subject: 'alice', target: BACKEND, code: 'ERR_DELEGATION_DENIED' },
  ])
})

/** Other tests export at the same time, but not for this user. */
function exportedOf(user: string): readonly string[] {
  return readdirSync(volatileFolder())
    .filter((name) => name.startsWith('mcp-delegation-ccache-'))
    .map((name) => join(volatileFolder(), name, 'ccache'))
    .filter((path) => existsSync(path) && readFileSync(path).includes(user))
}

test('an export that can not be recorded is not made', async () => {
  const registry = new DelegationRegistry({
    policy: 'backend-decides',
    audit: async ({ event }) => {
      if (event === 'export') throw new Error('the disk is full')
    },
    modules: { intranet: kerberosDelegation(optionsFor(lab, { allowExport: [BACKEND] })) },
  })
  const ticket = await registry.delegate('intranet', session('user13'), { targetService: BACKEND })
  await expect(ticket.value.exportCredentialCache()).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
  expect(exportedOf('user13')).toEqual([])
  const { ask } = open(lab, { allowExport: [BACKEND] })
  const cache = await (await ask('user13')).value.exportCredentialCache()
  expect(exportedOf('user13')).toEqual([cache.path])
  await registry[Symbol.asyncDispose]()
})
