import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { externalServer } from '../../src/vault/external-server.ts'
import { isAvailable, missing, unstoppableBecause, type VaultLab, vault } from '../../src/vault/index.ts'
import { login } from './login.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test.each([
  ['http://127.0.0.1:8200', 'a-token', true],
  ['https://localhost:8200', 'a-token', true],
  ['https://[::1]:8200/', 'a-token', true],
  ['https://vault.example.com:8200', 'a-token', false],
  ['https://127.0.0.1.example.com:8200', 'a-token', false],
  ['https://10.0.0.1:8200', 'a-token', false],
  ['http://127.0.0.1:8200', '', false],
  ['not an address', 'a-token', false],
  ['', 'a-token', false],
])('VAULT_ADDR %j with the token %j is used: %j', (address, token, used) => {
  vi.stubEnv('VAULT_ADDR', address)
  vi.stubEnv('VAULT_TOKEN', token)
  expect(externalServer() !== undefined).toBe(used)
  expect(unstoppableBecause()).toHaveLength(used ? 1 : 0)
})

describe.runIf(isAvailable('the Vault lab', missing()))('a server at VAULT_ADDR', () => {
  let other: VaultLab
  beforeAll(async () => {
    other = await vault()
  }, 60_000)
  afterAll(() => other?.dispose())

  const inventory = async () => {
    const bodies = await Promise.all(
      ['sys/mounts', 'sys/auth', 'sys/policies/acl?list=true', 'identity/entity/id?list=true'].map(
        async (path) => (await other.request('GET', path)).body as { data?: object; keys?: unknown },
      ),
    )
    return [bodies.map(({ data }) => data), await other.leases(''), await other.accessors()]
  }

  test('is used, and left as it was', async () => {
    await login(other, 'somebody')
    const before = await inventory()
    vi.stubEnv('VAULT_ADDR', other.address)
    vi.stubEnv('VAULT_TOKEN', other.rootToken)
    vi.stubEnv('VAULT_CACERT', other.ca)
    const lab = await vault({ postgresql: true })
    expect(lab.address).toBe(other.address)
    expect(lab.mounts.kv2).toMatch(/^mcp-delegation-[0-9a-f]{12}\/secret$/)
    expect(await lab.accessors()).toEqual([])
    const token = await login(lab, 'alice')
    const path = `${lab.mounts.kv2}/data/users/alice/billing`
    await lab.request('POST', path, { data: { password: 'alice-secret' } })
    expect(await lab.request('GET', path, undefined, { token })).toMatchObject({ status: 200 })
    await lab.request('GET', `${lab.mounts.database}/creds/readonly`, undefined, { token })
    expect(await lab.accessors()).toHaveLength(1)
    expect(await lab.leases()).toHaveLength(1)
    await expect(lab.seal()).rejects.toThrow(/not the lab's to stop/)
    expect(() => lab.pause()).toThrow(/not the lab's to stop/)
    await lab.dispose()
    expect(await inventory()).toEqual(before)
  })
})
