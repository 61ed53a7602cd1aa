import type { PasswordCredential } from '@mcp-delegation/core'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { appRoleLogin } from '../../src/logins/app-role-login.ts'
import type { LoginMethod } from '../../src/logins/login-method.ts'
import { database } from '../../src/sources/database.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import {
  dynamicUsers,
  eventually,
  expectNothingLeft,
  givePersonalRoles,
  optionsFor,
  registryOf,
  sessionsOf,
  whoAmI,
} from './support.ts'

const billing = { target: 'billing' } as const
const ENV = 'MCP_TEST_OWN_SECRET_ID'

describe.runIf(isAvailable('the Vault lab', missing()))('a server that logs in as itself', () => {
  let lab: VaultLab
  let sessionOf: ReturnType<typeof sessionsOf>
  let login: LoginMethod
  beforeAll(async () => {
    lab = await vault({ postgresql: true })
    await givePersonalRoles(lab, ['dora', 'eric'], { default_ttl: '10m', max_ttl: '20m' })
    sessionOf = sessionsOf(lab)
    const { roleId, secretId } = await lab.appRole()
    process.env[ENV] = secretId
    login = appRoleLogin({ roleId, secretId: { env: ENV }, mount: lab.mounts.appRole })
  }, 60_000)
  afterAll(async () => {
    delete process.env[ENV]
    await lab?.dispose()
  })

  const registries: AsyncDisposable[] = []
  function setting() {
    const module = vaultMapping(
      optionsFor(
        lab,
        {
          billing: database({ mount: lab.mounts.database, role: '{principal}' }),
          vcenter: kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' }),
        },
        { login },
      ),
    )
    const all = registryOf({ vault: module })
    registries.push(all.registry)
    return all
  }
  afterEach(async () => {
    for (const registry of registries.splice(0)) await registry[Symbol.asyncDispose]()
    await expectNothingLeft(lab)
  }, 60_000)

  test('gives each user the user’s own account, from one login, and takes back one at a time', async () => {
    const { registry } = setting()
    const [dora, eric] = await Promise.all([sessionOf('dora'), sessionOf('eric')])
    const leases = await Promise.all([dora, eric].map((session) => registry.delegate('vault', session, billing)))
    const names = await Promise.all(leases.map(({ value }) => whoAmI(lab, value)))
    expect(names).toEqual([expect.stringContaining('dora'), expect.stringContaining('eric')])
    expect(await lab.accessors()).toHaveLength(1)
    await registry.block(dora)
    expect(
      await eventually(
        () => dynamicUsers(lab),
        (users) => users.length === 1,
      ),
    ).toEqual([names[1]])
    expect(await lab.accessors()).toHaveLength(1)
    expect(await whoAmI(lab, leases[1]?.value as PasswordCredential)).toBe(names[1])
  })

  test('a stolen name is of no use: who is asked for is the session’s, whatever else a request says', async () => {
    const { registry } = setting()
    const request = { ...billing, principal: 'eric', role: 'eric', path: '../eric' }
    const lease = await registry.delegate('vault', await sessionOf('dora'), request)
    expect(await whoAmI(lab, lease.value)).toContain('dora')
  })

  test('check is content with a policy that lets leases be revoked, and says so where it does not', async () => {
    const { registry } = setting()
    expect(await registry.check()).toEqual({ vault: undefined })
    const { body } = await lab.request('GET', `sys/policies/acl/${lab.policies.server}`)
    const { policy } = (body as { data: { policy: string } }).data
    await lab.request('POST', `sys/policies/acl/${lab.policies.server}`, {
      policy: policy.replace('sys/leases/revoke', 'sys/leases/nothing'),
    })
    try {
      expect(await registry.check()).toMatchObject({ vault: { code: 'ERR_DELEGATION_PROTOCOL' } })
      // Then a lease ends with the token, as soon as no other needs it.
      const [dora, eric] = await Promise.all([sessionOf('dora'), sessionOf('eric')])
      await registry.delegate('vault', dora, billing)
      const other = await registry.delegate('vault', eric, billing)
      await registry.block(dora)
      expect(await whoAmI(lab, other.value)).toBe(other.principal)
      await registry.block(eric)
      expect(
        await eventually(
          () => lab.leases(),
          (leases) => leases.length === 0,
        ),
      ).toEqual([])
    } finally {
      await lab.request('POST', `sys/policies/acl/${lab.policies.server}`, { policy })
    }
  })

  test('its token that somebody revoked is replaced by one login, however many users ask', async () => {
    const { registry } = setting()
    const [dora, eric] = await Promise.all([sessionOf('dora'), sessionOf('eric')])
    await registry.delegate('vault', dora, billing)
    const [accessor] = await lab.accessors()
    await lab.request('POST', 'auth/token/revoke-accessor', { accessor })
    const lease = await registry.delegate('vault', eric, billing)
    expect(await whoAmI(lab, lease.value)).toBe(lease.principal)
    expect(await lab.accessors()).toHaveLength(1)
  })

  test('a database user that went with the token is not served again', async () => {
    const { registry } = setting()
    const dora = await sessionOf('dora')
    const lost = await registry.delegate('vault', dora, billing)
    const [accessor] = await lab.accessors()
    await lab.request('POST', 'auth/token/revoke-accessor', { accessor })
    // The next request of anybody finds out.
    const other = await registry.delegate('vault', await sessionOf('eric'), billing)
    const next = await registry.delegate('vault', dora, billing)
    expect(next.principal).not.toBe(lost.principal)
    expect(await whoAmI(lab, next.value)).toBe(next.principal)
    expect(await whoAmI(lab, other.value)).toBe(other.principal)
  })
})
