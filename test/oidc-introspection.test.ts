import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type IdentityProvider, startIdentityProvider } from './fixtures/identity-provider.ts'

const RESOURCE = 'https://mcp.example/opaque'
const OTHER = 'https://mcp.example/other'
const SIGNED = 'https://mcp.example/signed'
let idp: IdentityProvider

beforeAll(async () => {
  const scopes = ['tools:read']
  idp = await startIdentityProvider({
    accounts: { alice: { preferred_username: 'alice.a', groups: ['staff'] } },
    resources: {
      [RESOURCE]: { scopes, format: 'opaque' },
      [OTHER]: { scopes, format: 'opaque' },
      [SIGNED]: { scopes, audience: RESOURCE },
    },
  })
})
afterAll(() => idp.stop())

function verifierAs(client: { readonly clientId: string; readonly clientSecret: string }, timeout = 5_000) {
  const introspection = { clientId: client.clientId, clientSecret: async () => client.clientSecret }
  return oidcVerifier({ issuers: [{ issuer: idp.issuer, introspection }], audience: RESOURCE, timeout })
}
const verifier = () => verifierAs(idp.introspectionClient)
const aliceFor = (resource: string) => idp.accessToken({ account: 'alice', resource, scopes: ['openid', 'tools:read'] })

test('an opaque token of a user makes the session that a signed one would', async () => {
  const opaque = await verifier().verify(await aliceFor(RESOURCE))
  const signed = await verifier().verify(await aliceFor(SIGNED))
  for (const session of [opaque, signed]) {
    expect(session).toMatchObject({ issuer: idp.issuer, subject: 'alice', kind: 'user', clientId: 'mcp-client' })
    expect(session.displayName).toBe('alice.a')
    expect([...session.groups]).toEqual(['staff'])
    expect([...session.scopes]).toEqual(['tools:read'])
  }
  expect(opaque.expiresAt.getTime() - opaque.issuedAt.getTime()).toBe(300_000)
})

test('an opaque token of a machine makes a machine', async () => {
  const token = await idp.clientCredentialsToken({ resource: RESOURCE })
  await expect(verifier().verify(token)).resolves.toMatchObject({ kind: 'machine', subject: 'robot' })
})

test('an opaque token for another resource, a refresh token and an invented one are refused', async () => {
  const { refreshToken } = await idp.login({ account: 'alice', resource: RESOURCE })
  for (const token of [
    await aliceFor(OTHER),
    await idp.accessToken({ account: 'alice' }),
    refreshToken ?? '',
    'invented',
  ])
    await expect(verifier().verify(token)).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
})

test('a revoked token is refused by whoever asks anew', async () => {
  const token = await aliceFor(RESOURCE)
  await expect(verifier().verify(token)).resolves.toMatchObject({ subject: 'alice' })
  await idp.revoke(token)
  await expect(verifier().verify(token)).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
})

test('credentials of ours that are wrong are an outage, not a refusal', async () => {
  const wrong = verifierAs({ ...idp.introspectionClient, clientSecret: 'wrong' })
  await expect(wrong.verify(await aliceFor(RESOURCE))).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
})

test('an outage of the endpoint is an outage, and over when it is over', async () => {
  const one = verifierAs(idp.introspectionClient, 2_000)
  await one.verify(await aliceFor(RESOURCE))
  const token = await aliceFor(RESOURCE)
  for (const weather of ['unavailable', 'garbage', 'hang', 'refuse'] as const) {
    await idp.turn(weather)
    await expect(one.verify(token)).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  }
  await idp.turn('fair')
  await expect(one.verify(token)).resolves.toMatchObject({ subject: 'alice' })
})
