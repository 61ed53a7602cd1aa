import type { PasswordCredential } from '@mcp-delegation/core'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { database } from '../../src/sources/database.ts'
import type { Source } from '../../src/sources/source.ts'
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

const USERS = ['dora', 'eric', 'fay']
const request = { target: 'billing' } as const

describe.runIf(isAvailable('the Vault lab', missing()))('leases of a real server', () => {
  let lab: VaultLab
  let sessionOf: ReturnType<typeof sessionsOf>
  beforeAll(async () => {
    lab = await vault({ postgresql: true })
    await givePersonalRoles(lab, USERS, { default_ttl: '3s', max_ttl: '20s' })
    sessionOf = sessionsOf(lab)
  }, 60_000)
  afterAll(() => lab?.dispose())

  const registries: { [Symbol.asyncDispose](): Promise<void> }[] = []
  function setting(more: Parameters<typeof optionsFor<{ billing: Source<PasswordCredential> }>>[2] = {}) {
    const billing = database({ mount: lab.mounts.database, role: '{principal}' })
    const module = vaultMapping(optionsFor(lab, { billing }, more))
    const all = registryOf({ billing: module })
    registries.push(all.registry)
    return all
  }
  afterEach(async () => {
    for (const registry of registries.splice(0)) await registry[Symbol.asyncDispose]()
    await expectNothingLeft(lab)
  }, 60_000)

  test('the user logs in to the database as the one that audit names', async () => {
    const { registry, audit } = setting()
    const lease = await registry.delegate('billing', await sessionOf('dora'), request)
    const name = await whoAmI(lab, lease.value)
    expect(name).toMatch(/^v-.*dora/)
    expect(lease.principal).toBe(name)
    expect(audit.records).toMatchObject([{ event: 'delegation', outcome: 'issued', type: 'vault', principal: name }])
  })

  test('a lease is renewed while a live session is served, and the database user lives on', async () => {
    const { registry } = setting()
    const session = await sessionOf('dora')
    const lease = await registry.delegate('billing', session, request)
    const first = lease.expiresAt
    await vi.waitFor(() => expect(lease.expiresAt.getTime()).toBeGreaterThan(first.getTime() + 3_000), 10_000)
    expect(await whoAmI(lab, lease.value)).toBe(lease.principal)
    expect((await registry.delegate('billing', session, request)).principal).toBe(lease.principal)
  })

  test('what no live session covers is not renewed, and given back', async () => {
    const { registry } = setting()
    const exp = Math.floor(Date.now() / 1000) + 2
    const lease = await registry.delegate('billing', await sessionOf('dora', { exp }), request)
    await lease[Symbol.asyncDispose]()
    expect(
      await eventually(
        () => dynamicUsers(lab),
        (users) => users.length === 0,
      ),
    ).toEqual([])
  })

  test('a block drops the user in the database and ends the Vault token, at once', async () => {
    const { registry } = setting()
    const session = await sessionOf('dora')
    const lease = await registry.delegate('billing', session, request)
    const other = await registry.delegate('billing', await sessionOf('eric'), request)
    await registry.block(session)
    expect(() => lease.value).toThrow(expect.objectContaining({ code: 'ERR_SESSION_BLOCKED' }))
    expect(
      await eventually(
        () => lab.leases(),
        (leases) => leases.length === 1,
      ),
    ).toHaveLength(1)
    expect(
      await eventually(
        () => lab.accessors(),
        (accessors) => accessors.length === 1,
      ),
    ).toHaveLength(1)
    expect(await whoAmI(lab, other.value)).toBe(other.principal)
  })

  test('a credential that the backend refused is given back when its last user is done', async () => {
    const { registry } = setting()
    const session = await sessionOf('dora')
    const lease = await registry.delegate('billing', session, request)
    lease.invalidate()
    expect(await lab.leases()).toHaveLength(1)
    await lease[Symbol.asyncDispose]()
    expect(
      await eventually(
        () => lab.leases(),
        (leases) => leases.length === 0,
      ),
    ).toEqual([])
    const next = await registry.delegate('billing', session, request)
    expect(next.principal).not.toBe(lease.principal)
  })

  test('a Vault token that somebody revoked is replaced by one new login, and the users never notice', async () => {
    const { registry } = setting()
    const session = await sessionOf('dora')
    const lease = await registry.delegate('billing', session, request)
    const [accessor] = await lab.accessors()
    await lab.request('POST', 'auth/token/revoke-accessor', { accessor })
    lease.invalidate()
    await lease[Symbol.asyncDispose]()
    const others = await Promise.all([1, 2, 3].map(() => registry.delegate('billing', session, request)))
    expect(new Set(others.map(({ principal }) => principal)).size).toBe(1)
    for (const { value, principal } of others) expect(await whoAmI(lab, value)).toBe(principal)
    expect(await lab.accessors()).toHaveLength(1)
  })

  test('one user cannot have what the policy gives another', async () => {
    const { registry } = setting({
      principal: { issuers: [{ issuer: lab.tokens.issuer, principal: () => 'eric' }] },
    })
    await expect(registry.delegate('billing', await sessionOf('dora'), request)).rejects.toMatchObject({
      code: 'ERR_DELEGATION_DENIED',
    })
  })

  test('whoever leaves in the middle leaves nothing at the server', async () => {
    const { registry } = setting()
    const sessions = await Promise.all(USERS.map((name) => sessionOf(name)))
    for (const after of [0, 2, 5, 10, 20]) {
      const leaving = new AbortController()
      const asking = sessions.map((session) =>
        registry.delegate('billing', session, request, { signal: leaving.signal }),
      )
      setTimeout(() => leaving.abort(), after)
      await Promise.allSettled(asking)
    }
  })
})
