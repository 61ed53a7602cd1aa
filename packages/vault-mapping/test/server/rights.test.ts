import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import { optionsFor, registryOf } from './support.ts'

const request = { target: 'vcenter' } as const

describe.runIf(isAvailable('the Vault lab', missing()))('a claim that a role of a real server is bound to', () => {
  let lab: VaultLab
  beforeAll(async () => {
    lab = await vault()
    const { body } = await lab.request('GET', `auth/${lab.mounts.jwt}/role/user`)
    const role = { ...(body as { data: object }).data, bound_claims: { strong: 'yes' } }
    await lab.request('POST', `auth/${lab.mounts.jwt}/role/strong`, role)
    const secret = { data: { username: 'dora', password: 'of-dora-alone' } }
    await lab.request('POST', `${lab.mounts.kv2}/data/users/dora/vcenter`, secret)
  }, 60_000)
  afterAll(() => lab?.dispose())

  test.each([
    ['is heeded for each token where it is a part of the rights', true, 'user'],
    ['is heeded for each token where nothing is reused for another', false, 'token'],
    ['else is heeded for the first of the tokens that have the same rights', false, 'user'],
  ] as const)('%s', async (_, isRight, reuse) => {
    const { issuer, audience } = lab.tokens
    const verifier = oidcVerifier({
      issuers: [{ issuer }],
      audience,
      ...(isRight ? { verifyMore: async ({ claims }) => ({ strong: claims['strong'] === 'yes' }) } : {}),
    })
    const sessionOf = async (claims: object) => verifier.verify(await lab.tokens.sign({ sub: 'dora', ...claims }))
    const vcenter = kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
    const login = jwtLogin({ role: 'strong', mount: lab.mounts.jwt })
    const { registry } = registryOf({ vcenter: vaultMapping(optionsFor(lab, { vcenter }, { login, reuse })) })
    try {
      expect((await registry.delegate('vcenter', await sessionOf({ strong: 'yes' }), request)).principal).toBe('dora')
      const other = registry.delegate('vcenter', await sessionOf({}), request)
      if (isRight || reuse === 'token')
        await expect(other).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
      else expect((await other).principal).toBe('dora')
    } finally {
      await registry[Symbol.asyncDispose]()
    }
  })
})
