import { firstMapped, isDelegationError, type PasswordCredential, type Session } from '@mcp-delegation/core'
import { fakeModule } from '@mcp-delegation/core/testing'
import { isAvailable, missing, unstoppableBecause, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
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
  usableTokens,
  whoAmI,
} from './support.ts'

const billing = { target: 'billing' } as const
const vcenter = { target: 'vcenter' } as const
const DEADLINE = 3_000

/** How a request failed, and how long that took. */
async function failureOf(work: Promise<unknown>): Promise<{ code: unknown; late: boolean; error: Error }> {
  const start = performance.now()
  const error = await work.then(
    () => new Error('it was served'),
    (reason: Error) => reason,
  )
  const late = performance.now() - start > DEADLINE * 1.1 + 200
  return { code: isDelegationError(error) ? error.code : String(error), late, error }
}

const unavailable = { code: 'ERR_DELEGATION_UNAVAILABLE', late: false }

describe.runIf(isAvailable('a Vault lab that can be stopped', [...missing(), ...unstoppableBecause()]))(
  'a real server that fails',
  () => {
    let lab: VaultLab
    let sessionOf: (sub: string) => Promise<Session>
    beforeAll(async () => {
      lab = await vault({ postgresql: true })
      await givePersonalRoles(lab, ['dora', 'eric'], { default_ttl: '10m', max_ttl: '20m' })
      for (const name of ['dora', 'eric', 'gone', 'destroyed'])
        await lab.request('POST', `${lab.mounts.kv2}/data/users/${name}/vcenter`, {
          data: { username: `${name}@vsphere.local`, password: `password-of-${name}` },
        })
      await lab.request('DELETE', `${lab.mounts.kv2}/data/users/gone/vcenter`)
      await lab.request('PUT', `${lab.mounts.kv2}/destroy/users/destroyed/vcenter`, { versions: [1] })
      sessionOf = sessionsOf(lab)
    }, 60_000)
    afterAll(() => lab?.dispose())

    const registries: AsyncDisposable[] = []
    function setting(more: Parameters<typeof optionsFor>[2] = {}) {
      const targets = {
        billing: database({ mount: lab.mounts.database, role: '{principal}' }),
        vcenter: kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' }),
      }
      const module = vaultMapping(optionsFor(lab, targets, { deadline: DEADLINE, timeout: 1_000, ...more } as object))
      const all = registryOf({ vault: module })
      registries.push(all.registry)
      return { ...all, module }
    }
    /** Whether a login may have been carried out whose answer nobody got: its token ends with its time. */
    let losesLogins = false
    afterEach(async () => {
      for (const registry of registries.splice(0)) await registry[Symbol.asyncDispose]()
      expect(
        await eventually(
          () => lab.leases(),
          (leases) => leases.length === 0,
          30_000,
        ),
      ).toEqual([])
      const logins = `sys/leases/revoke-prefix/auth/${lab.mounts.jwt}/login`
      await expectNothingLeft(lab, async () => losesLogins && lab.request('PUT', logins))
      losesLogins = false
    }, 60_000)

    const faults: [string, (server: VaultLab) => unknown, (server: VaultLab) => unknown][] = [
      ['sealed', (server) => server.seal(), (server) => server.unseal()],
      ['killed', (server) => server.kill(), (server) => server.restart()],
      ['hanging', (server) => server.pause(), (server) => server.resume()],
    ]
    test.each(faults)(
      'while it is %s, what is cached is served, others fail in time, and then all goes on',
      async (what, fail, heal) => {
        losesLogins = what === 'hanging'
        const { registry } = setting()
        const [dora, eric] = await Promise.all([sessionOf('dora'), sessionOf('eric')])
        const lease = await registry.delegate('vault', dora, billing)
        await fail(lab)
        try {
          const again = await registry.delegate('vault', dora, billing)
          expect(again.principal).toBe(lease.principal)
          expect(await whoAmI(lab, again.value)).toBe(lease.principal)
          expect(await failureOf(registry.delegate('vault', dora, vcenter))).toMatchObject(unavailable)
          expect(await failureOf(registry.delegate('vault', eric, billing))).toMatchObject(unavailable)
        } finally {
          await heal(lab)
        }
        const healed = await registry.delegate('vault', eric, billing)
        expect(await whoAmI(lab, healed.value)).toBe(healed.principal)
        expect((await registry.delegate('vault', dora, vcenter)).value.username).toBe('dora@vsphere.local')
      },
    )

    test('what was released during an outage is revoked after it', async () => {
      const { registry } = setting()
      const dora = await sessionOf('dora')
      await registry.delegate('vault', dora, billing)
      await lab.kill()
      try {
        await registry.block(dora)
      } finally {
        await lab.restart()
      }
      expect(
        await eventually(
          () => lab.leases(),
          (leases) => leases.length === 0,
        ),
      ).toEqual([])
      expect(
        await eventually(
          () => dynamicUsers(lab),
          (users) => users.length === 0,
        ),
      ).toEqual([])
    })

    test("while the issuer's keys can't be had, a refusal is an outage, and is not remembered", async () => {
      const { registry } = setting()
      // A key that the server has not seen yet.
      await lab.tokens.rotate()
      sessionOf = sessionsOf(lab)
      const session = await sessionOf('dora')
      await lab.tokens.down()
      let failure: Awaited<ReturnType<typeof failureOf>>
      try {
        failure = await failureOf(registry.delegate('vault', session, vcenter))
      } finally {
        await lab.tokens.up()
      }
      expect(failure).toMatchObject(unavailable)
      const { retryAfter } = failure.error as { retryAfter?: Date }
      expect(retryAfter?.getTime()).toBeGreaterThan(Date.now())
      await new Promise((resolve) => setTimeout(resolve, (retryAfter?.getTime() ?? 0) - Date.now() + 10))
      expect((await registry.delegate('vault', session, vcenter)).value.username).toBe('dora@vsphere.local')
    })

    test('a server that limits the rate is asked again, and says so where that is not enough', async () => {
      const { registry } = setting()
      const dora = await sessionOf('dora')
      await (await registry.delegate('vault', dora, billing))[Symbol.asyncDispose]()
      const quota = 'sys/quotas/rate-limit/kv'
      await lab.request('POST', quota, { path: lab.mounts.kv2, rate: 0.001, interval: '1h' })
      try {
        await lab.request('GET', `${lab.mounts.kv2}/data/users/dora/vcenter`)
        expect(await failureOf(registry.delegate('vault', dora, vcenter))).toMatchObject(unavailable)
      } finally {
        await lab.request('DELETE', quota)
      }
      await registry.delegate('vault', dora, vcenter)
    })

    test('a database that is down is an outage, does not cost a login for each try, and heals', async () => {
      const { registry } = setting()
      const dora = await sessionOf('dora')
      await registry.delegate('vault', dora, vcenter)
      await lab.postgresql.halt()
      try {
        for (let count = 0; count < 3; count++)
          expect(await failureOf(registry.delegate('vault', dora, billing))).toMatchObject(unavailable)
        expect(await usableTokens(lab)).toHaveLength(1)
      } finally {
        await lab.postgresql.restart()
      }
      const lease = await eventually(
        () => registry.delegate('vault', dora, billing).catch((error: Error) => error),
        (answer) => !(answer instanceof Error),
      )
      expect(lease).toMatchObject({ type: 'vault' })
    })

    test('a secret that was deleted or destroyed is a refusal, and none at all lets the next module serve', async () => {
      const { module } = setting()
      const shared = fakeModule('shared account')
      const { registry } = registryOf({ any: firstMapped(module, shared) })
      registries.push(registry)
      for (const name of ['gone', 'destroyed'])
        expect(await failureOf(registry.delegate('any', await sessionOf(name), vcenter))).toMatchObject({
          code: 'ERR_DELEGATION_DENIED',
        })
      expect((await registry.delegate('any', await sessionOf('newcomer'), vcenter)).value).toBe('shared account')
      const lease = await registry.delegate('any', await sessionOf('dora'), vcenter)
      expect((lease.value as PasswordCredential).username).toBe('dora@vsphere.local')
    })

    test('a mount that is not the one of the options sends nobody to the next module', async () => {
      const targets = { vcenter: kv2({ mount: lab.mounts.kv1, path: 'users/{principal}/vcenter' }) }
      const module = vaultMapping(optionsFor(lab, targets))
      const { registry } = registryOf({ any: firstMapped(module, fakeModule('shared account')) })
      registries.push(registry)
      const { code } = await failureOf(registry.delegate('any', await sessionOf('dora'), vcenter))
      expect(['ERR_DELEGATION_DENIED', 'ERR_DELEGATION_PROTOCOL']).toContain(code)
    })

    test('a server with a certificate of another authority is not spoken to', async () => {
      const other = await vault()
      try {
        const { registry } = setting({ tls: { ca: other.ca } })
        const failure = await failureOf(registry.delegate('vault', await sessionOf('dora'), vcenter))
        expect(failure).toMatchObject(unavailable)
        expect(String((failure.error.cause as Error).message)).toContain('tls.ca')
        expect(await usableTokens(lab)).toEqual([])
      } finally {
        await other.dispose()
      }
    })

    test('a credential ends with its Vault token, whatever the lease says', async () => {
      const { body } = await lab.request('GET', `auth/${lab.mounts.jwt}/role/user`)
      const { data } = body as { data: object }
      const brief = { ...data, token_ttl: 60, token_max_ttl: 60 }
      expect(await lab.request('POST', `auth/${lab.mounts.jwt}/role/brief`, brief)).toMatchObject({ status: 204 })
      const { registry } = setting({ login: jwtLogin({ role: 'brief', mount: lab.mounts.jwt }) })
      const lease = await registry.delegate('vault', await sessionOf('dora'), billing)
      expect(lease.expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(60_000)
    })

    test('check says what is wrong, and nothing where all is well', async () => {
      const { registry } = setting()
      expect(await registry.check()).toEqual({ vault: undefined })
      await lab.seal()
      try {
        const { vault } = await registry.check()
        const cause = { message: `GET sys/health at ${lab.address}: 503: Vault is sealed` }
        expect(vault).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', cause })
      } finally {
        await lab.unseal()
      }
    })
  },
)
