import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { secret } from '@mcp-delegation/core'
import { fakeClock } from '@mcp-delegation/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { envelopeOf, type VaultEnvelope } from '../../src/envelope.ts'
import { appRoleLogin } from '../../src/logins/app-role-login.ts'
import { certificateLogin } from '../../src/logins/certificate-login.ts'
import { kubernetesLogin } from '../../src/logins/kubernetes-login.ts'
import { tokenFileLogin } from '../../src/logins/token-file-login.ts'
import { VaultError } from '../../src/vault-error.ts'
import { never } from '../fixtures/clients.ts'
import { envelope } from '../fixtures/http-stand-in.ts'
import { contextOf } from '../fixtures/login-contexts.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'login-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

/** An answer to a login. */
function answer(auth: object | null = {}): VaultEnvelope {
  const token = {
    client_token: 's.made',
    accessor: 'a',
    policies: ['p'],
    lease_duration: 60,
    renewable: true,
    num_uses: 0,
  }
  return envelopeOf(envelope({ auth: auth && { ...token, ...auth } }), 0) as VaultEnvelope
}

function refusal(status: number): VaultError {
  return new VaultError('status', `${status}`, { status, uncertain: false })
}

const logins = {
  appRole: () => appRoleLogin({ roleId: 'role-id', secretId: async () => 'secret-id' }),
  kubernetes: () => kubernetesLogin({ role: 'mcp', tokenFile: file('token', 'eyJh.eyJz.c2ln\n', 0o644) }),
}

test('An AppRole logs in with its ids, the secret one read for each login', async () => {
  const path = file('secret-id', 'first\n')
  const login = appRoleLogin({ roleId: 'role-id', secretId: { file: path }, mount: 'own/approle' })
  const context = contextOf(async () => answer())
  expect(login).toMatchObject({ type: 'approle', as: 'self', owned: true })
  expect((await login.logIn(context)).token.reveal()).toBe('s.made')
  writeFileSync(path, 'second')
  await login.logIn(context)
  expect(context.posted).toEqual([
    { path: 'auth/own/approle/login', body: { role_id: 'role-id', secret_id: 'first' } },
    { path: 'auth/own/approle/login', body: { role_id: 'role-id', secret_id: 'second' } },
  ])
  chmodSync(path, 0o644)
  await expect(login.logIn(context)).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
})

test('A pod logs in with the token of its file, which everybody in the pod may read', async () => {
  const login = logins.kubernetes()
  const context = contextOf(async () => answer())
  expect(login).toMatchObject({ type: 'kubernetes', as: 'self', owned: true })
  await login.logIn(context)
  file('token', 'eyJh.eyJ0.c2ln', 0o644)
  await login.logIn(context)
  expect(context.posted).toEqual([
    { path: 'auth/kubernetes/login', body: { role: 'mcp', jwt: 'eyJh.eyJz.c2ln' } },
    { path: 'auth/kubernetes/login', body: { role: 'mcp', jwt: 'eyJh.eyJ0.c2ln' } },
  ])
})

test('A token of a pod that is not there, or is none, is an outage that does not say what it held', async () => {
  for (const content of ['', 'no token', 'x'.repeat(70_000), 'a.b', `${'a.b.c'}\0`]) {
    const login = kubernetesLogin({ role: 'mcp', tokenFile: file('token', content) })
    const error = await login.logIn(contextOf(async () => answer())).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
    if (content !== '') expect(inspect(error)).not.toContain(content)
  }
  const missing = kubernetesLogin({ role: 'mcp', tokenFile: join(folder, 'none') })
  await expect(missing.logIn(contextOf(async () => answer()))).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
  })
})

test.each(Object.entries(logins))('What Vault refuses the %s login is for an operator', async (_name, make) => {
  for (const status of [400, 403, 404]) {
    const cause = refusal(status)
    const refused = make().logIn(contextOf(() => Promise.reject(cause)))
    await expect(refused).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL', cause })
  }
  for (const error of [refusal(503), refusal(429), new VaultError('late', 'late', { uncertain: true })])
    await expect(make().logIn(contextOf(() => Promise.reject(error)))).rejects.toBe(error)
})

test.each(Object.entries(logins))('A refused %s login is not repeated at once', async (_name, make) => {
  const clock = fakeClock()
  const login = make()
  let reply = () => Promise.reject<VaultEnvelope>(refusal(400))
  const context = contextOf(() => reply(), { clock })
  const attempt = () => login.logIn(context).catch((error: { code: string }) => error.code)
  let asked = 0
  for (const wait of [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
    expect(await attempt()).toBe('ERR_DELEGATION_PROTOCOL')
    expect(context.posted).toHaveLength(++asked)
    clock.tick(wait - 1)
    expect(await attempt()).toBe('ERR_DELEGATION_PROTOCOL')
    expect(context.posted).toHaveLength(asked)
    clock.tick(1)
  }
  reply = async () => answer()
  expect(await attempt()).toMatchObject({ renewable: true })
  reply = () => Promise.reject(refusal(400))
  await attempt()
  clock.tick(1_000)
  reply = async () => answer()
  expect(await attempt()).toMatchObject({ renewable: true })
})

test.each(Object.entries(logins))('A %s login that gives no token to work with is refused', async (_name, make) => {
  const wrong = [null, { num_uses: 1 }, { policies: ['default', 'root'] }, { identity_policies: ['root'] }]
  for (const auth of wrong)
    await expect(make().logIn(contextOf(async () => answer(auth)))).rejects.toMatchObject({
      code: 'ERR_DELEGATION_PROTOCOL',
    })
})

test('A token of a file is used as it is, and looked up', async () => {
  const path = file('token', 's.ofafile\n')
  const login = tokenFileLogin({ path })
  expect(login).toMatchObject({ type: 'token-file', as: 'self', owned: false })
  const found = { ...answer().auth, expiresAt: 42 } as never
  const asked: string[] = []
  const context = {
    ...contextOf(async () => answer()),
    lookUp: async (token: { reveal(): string }) => {
      asked.push(token.reveal())
      return found
    },
  }
  expect(await login.logIn(context)).toBe(found)
  expect(asked).toEqual(['s.ofafile'])
})

test('A token of a file is current as long as the file holds it, or nothing that can be read', async () => {
  const path = file('token', 's.ofafile\n')
  const { isCurrent } = tokenFileLogin({ path })
  const ask = (token: string) => isCurrent?.(secret(token), { signal: never() })
  expect(await ask('s.ofafile')).toBe(true)
  file('token', 's.another')
  expect(await ask('s.ofafile')).toBe(false)
  chmodSync(path, 0o644)
  expect(await ask('s.ofafile')).toBe(true)
  rmSync(path)
  expect(await ask('s.ofafile')).toBe(true)
  await expect(isCurrent?.(secret('x'), { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone')
})

test('A file whose token is dead, is none, or may be read by others is an outage', async () => {
  const lookUp = () => Promise.reject(refusal(403))
  const context = { ...contextOf(async () => answer()), lookUp }
  for (const path of [file('dead', 's.dead'), file('none', 'a b'), file('open', 's.open', 0o644), join(folder, 'no')])
    await expect(tokenFileLogin({ path }).logIn(context)).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  const down = { ...context, lookUp: () => Promise.reject(refusal(503)) }
  await expect(tokenFileLogin({ path: join(folder, 'dead') }).logIn(down)).rejects.toMatchObject({ status: 503 })
})

test('A token of a file that is of root, or for a number of uses, is refused', async () => {
  const path = file('token', 's.ofafile')
  for (const more of [{ policies: ['root'] }, { num_uses: 3 }]) {
    const context = { ...contextOf(async () => answer()), lookUp: async () => answer(more).auth as never }
    await expect(tokenFileLogin({ path }).logIn(context)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  }
})

test('A certificate that can not be read is an outage that does not say what the key is', async () => {
  const login = certificateLogin({ certificate: file('c.pem', 'no certificate'), privateKey: async () => 'the-key' })
  const context = contextOf(async () => answer())
  const error = await login.logIn(context).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('the-key')
  expect([context.posted, context.presented]).toEqual([[], []])
})
