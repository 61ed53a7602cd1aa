import { type PasswordCredential, type Session, secret } from '@mcp-delegation/core'
import { moduleConformance, testSession } from '@mcp-delegation/core/testing'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, describe, test } from 'vitest'
import { appRoleLogin } from '../../src/logins/app-role-login.ts'
import type { LoginMethod } from '../../src/logins/login-method.ts'
import { database } from '../../src/sources/database.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import { givePersonalRoles, optionsFor, sessionsOf, whoAmI } from './support.ts'

const SECRET_ID = 'MCP_TEST_SECRET_ID'

describe.runIf(isAvailable('the Vault lab', missing()))('the module conforms', async () => {
  const lab = await vault({ postgresql: true })
  afterAll(() => lab.dispose())
  await givePersonalRoles(lab, ['dora', 'eric'], { default_ttl: '5m', max_ttl: '10m' })
  for (const name of ['dora', 'eric', 'fay'])
    await lab.request('POST', `${lab.mounts.kv2}/data/users/${name}/vcenter`, {
      data: { username: `${name}@vsphere.local`, password: `password-of-${name}-${Math.random()}` },
    })
  await lab.request('DELETE', `${lab.mounts.kv2}/data/users/fay/vcenter`)
  const dead = await vault()
  await dead.halt()
  afterAll(() => dead.dispose())
  const { roleId, secretId } = await lab.appRole()
  process.env[SECRET_ID] = secretId
  const asItself = appRoleLogin({ roleId, secretId: { env: SECRET_ID }, mount: lab.mounts.appRole })

  const people = new Set(['dora', 'eric', 'fay'])
  const principal = {
    issuers: [
      {
        issuer: lab.tokens.issuer,
        principal: ({ subject }: Session) => (people.has(subject) ? subject : undefined),
      },
    ],
  }
  const create = (server: VaultLab, login?: LoginMethod) => () =>
    vaultMapping(
      optionsFor(
        server,
        {
          billing: database({ mount: lab.mounts.database, role: '{principal}' }),
          vcenter: kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' }),
        },
        { principal, ...(login && { login }) },
      ),
    )
  const secretsOf = ({ password }: PasswordCredential): readonly string[] => [password.reveal()]
  const outstanding = async (): Promise<number> => (await lab.leases()).length

  describe('as itself, with dynamic database users', () => {
    const who = (subject: string) => ({
      session: testSession({
        issuer: lab.tokens.issuer,
        subject,
        token: secret(`token of ${subject}, which stays here`),
      }),
      request: { target: 'billing' } as const,
    })
    const checks = moduleConformance({
      create: create(lab, asItself),
      granted: [who('dora'), who('eric')],
      unmapped: who('mallory'),
      secretsOf,
      secrets: [secretId],
      outstanding,
      whoami: (value) => whoAmI(lab, value),
      patience: 5_000,
      faults: [
        { when: 'the user has no role', ...who('fay'), code: 'ERR_DELEGATION_DENIED' },
        { when: 'Vault is down', ...who('dora'), create: create(dead, asItself), code: 'ERR_DELEGATION_UNAVAILABLE' },
      ],
    })
    for (const { name, run } of checks) test(name, run)
  })

  describe('as the user, with stored secrets', async () => {
    const sessionOf = sessionsOf(lab)
    const who = async (subject: string) => ({
      session: await sessionOf(subject),
      request: { target: 'vcenter' } as const,
    })
    const checks = moduleConformance({
      create: create(lab),
      granted: [await who('dora'), await who('eric')],
      unmapped: await who('mallory'),
      secretsOf,
      patience: 5_000,
      faults: [
        { when: 'the secret was deleted', ...(await who('fay')), code: 'ERR_DELEGATION_DENIED' },
        { when: 'Vault is down', ...(await who('dora')), create: create(dead), code: 'ERR_DELEGATION_UNAVAILABLE' },
      ],
    })
    for (const { name, run } of checks) test(name, run)
  })
})
