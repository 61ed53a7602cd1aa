import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAvailable, missing, type VaultLab, vault } from '../../src/vault/index.ts'
import { login } from './login.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('the server', () => {
  let lab: VaultLab
  beforeAll(async () => {
    lab = await vault()
  }, 60_000)
  afterAll(() => lab?.dispose())

  test('lets users read what is theirs, and nothing of others', async () => {
    const path = (name: string): string => `${lab.mounts.kv2}/data/users/${name}/billing`
    for (const name of ['alice', 'bob']) await lab.request('POST', path(name), { data: { password: `${name}-secret` } })
    const token = await login(lab, 'alice')
    expect(await lab.request('GET', path('alice'), undefined, { token })).toMatchObject({
      status: 200,
      body: { data: { data: { password: 'alice-secret' } } },
    })
    expect(await lab.request('GET', path('bob'), undefined, { token })).toMatchObject({ status: 403 })
    expect(await lab.request('GET', path('alice'), undefined, { token: '' })).toMatchObject({ status: 403 })
  })

  test("lets a server that logs in with AppRole read what is any user's", async () => {
    const { roleId: role_id, secretId: secret_id } = await lab.appRole()
    const { body } = await lab.request(
      'POST',
      `auth/${lab.mounts.appRole}/login`,
      { role_id, secret_id },
      { token: '' },
    )
    const token = (body as { auth: { client_token: string } }).auth.client_token
    await lab.request('POST', `${lab.mounts.kv2}/data/users/carol/billing`, { data: { password: 'carol-secret' } })
    expect(await lab.request('GET', `${lab.mounts.kv2}/data/users/carol/billing`, undefined, { token })).toMatchObject({
      status: 200,
    })
  })

  test('lets a client with a certificate of its authority log in, and no other', async () => {
    const login = async (certificate: string | undefined, key: string | undefined): Promise<number | undefined> => {
      const pair = certificate && key ? { cert: readFileSync(certificate), key: readFileSync(key) } : {}
      const request = https.request(`${lab.address}/v1/auth/${lab.mounts.cert}/login`, {
        method: 'POST',
        ca: readFileSync(lab.ca),
        agent: false,
        ...pair,
      })
      request.end()
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    const { certificate, key } = await lab.clientCertificate()
    expect(await login(certificate, key)).toBe(200)
    expect(await login(undefined, undefined)).toBe(400)
  })

  test('counts the living tokens', async () => {
    const before = await lab.accessors()
    const token = await login(lab, 'dave')
    expect(await lab.accessors()).toHaveLength(before.length + 1)
    await lab.request('POST', 'auth/token/revoke-self', undefined, { token })
    expect(await lab.accessors()).toEqual(before)
  })

  test.each(['seal', 'halt', 'kill'] as const)('keeps everything over a %s', async (fault) => {
    const token = await login(lab, 'erin')
    await lab[fault]()
    if (fault === 'seal') expect(await lab.request('GET', 'sys/health')).toMatchObject({ status: 503 })
    else await expect(lab.request('GET', 'sys/health')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await (fault === 'seal' ? lab.unseal() : lab.restart())
    expect(await lab.request('GET', 'auth/token/lookup-self', undefined, { token })).toMatchObject({ status: 200 })
  })
})

describe.runIf(isAvailable('the Vault lab', missing()))('a server with raft storage', () => {
  test('starts, and leaves nothing behind', async () => {
    const lab = await vault({ storage: 'raft' })
    expect(await lab.request('GET', 'sys/storage/raft/configuration')).toMatchObject({ status: 200 })
    await lab.dispose()
    expect(existsSync(lab.folder)).toBe(false)
  })
})
