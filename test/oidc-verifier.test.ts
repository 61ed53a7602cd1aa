import { createHash } from 'node:crypto'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type IdentityProvider, startIdentityProvider } from './fixtures/identity-provider.ts'
import { startSigner } from './fixtures/signer.ts'

const RESOURCE = 'https://mcp.example/mcp'
const OTHER = 'https://mcp.example/other'
let idp: IdentityProvider

beforeAll(async () => {
  const scopes = ['tools:read', 'tools:write']
  idp = await startIdentityProvider({
    accounts: { alice: { preferred_username: 'alice.a', groups: ['staff'] }, bob: {} },
    resources: {
      [RESOURCE]: { scopes },
      [OTHER]: { scopes },
      'https://mcp.example/short': { scopes, ttl: 1, audience: RESOURCE },
      'https://mcp.example/ec': { scopes, alg: 'ES256', audience: RESOURCE },
      'https://mcp.example/ed': { scopes, alg: 'EdDSA', audience: RESOURCE },
      'https://mcp.example/ps': { scopes, alg: 'PS256', audience: RESOURCE },
    },
  })
})
afterAll(() => idp.stop())

const verifier = () => oidcVerifier({ issuers: [{ issuer: idp.issuer }], audience: RESOURCE, timeout: 2_000 })

describe('a token of a real identity provider', () => {
  test('makes the session of its user', async () => {
    const tokens = await idp.login({ account: 'alice', resource: RESOURCE, scopes: ['openid', 'tools:read'] })
    const session = await verifier().verify(tokens.accessToken)
    expect(session).toMatchObject({ issuer: idp.issuer, subject: 'alice', clientId: 'mcp-client', kind: 'user' })
    expect(session).toMatchObject({ displayName: 'alice.a', act: [] })
    expect([...session.groups]).toEqual(['staff'])
    expect([...session.scopes]).toEqual(['tools:read'])
    const signed = tokens.accessToken.split('.').slice(0, 2).join('.')
    expect(session.id).toBe(createHash('sha256').update(signed).digest('base64url'))
    expect(session.expiresAt.getTime() - session.issuedAt.getTime()).toBe(300_000)

    const refreshed = await verifier().verify((await idp.refresh(tokens.refreshToken ?? '')).accessToken)
    expect(refreshed.id).not.toBe(session.id)
    expect(refreshed.claims['sid']).toBe(session.claims['sid'])
  })

  test.each(['ec', 'ed', 'ps'])('is accepted however it is signed (%s)', async (name) => {
    const token = await idp.accessToken({ account: 'bob', resource: `https://mcp.example/${name}` })
    expect(decodeProtectedHeader(token).alg).not.toBe('RS256')
    await expect(verifier().verify(token)).resolves.toMatchObject({ subject: 'bob', kind: 'user' })
  })

  test('is accepted over a configured key set, without discovery', async () => {
    const token = await idp.accessToken({ account: 'bob', resource: RESOURCE })
    const before = idp.server.count('/.well-known/openid-configuration')
    const issuers = [{ issuer: idp.issuer, jwksUri: idp.jwksUri }]
    await expect(oidcVerifier({ issuers, audience: RESOURCE }).verify(token)).resolves.toMatchObject({ subject: 'bob' })
    expect(idp.server.count('/.well-known/openid-configuration')).toBe(before)
  })

  test('of the client credentials grant makes a machine', async () => {
    const token = await idp.clientCredentialsToken({ resource: RESOURCE, scopes: ['tools:read'] })
    await expect(verifier().verify(token)).resolves.toMatchObject({
      kind: 'machine',
      subject: 'robot',
      clientId: 'robot',
    })
  })

  test('for another resource is refused', async () => {
    const token = await idp.accessToken({ account: 'alice', resource: OTHER })
    await expect(verifier().verify(token)).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })

  test('that expires is refused from then on, remembered or not', async () => {
    const token = await idp.accessToken({ account: 'alice', resource: 'https://mcp.example/short' })
    let time = Date.now()
    const clock = { now: () => time }
    const one = oidcVerifier({ issuers: [{ issuer: idp.issuer }], audience: RESOURCE, clock })
    time =
      ((JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }).exp - 1) * 1000
    await expect(one.verify(token)).resolves.toMatchObject({ subject: 'alice' })
    time += 1000
    await expect(one.verify(token)).rejects.toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
  })

  test.each(['rfc9068', 'keycloak', 'entra', 'auth0', 'okta', 'authentik'] as const)(
    'that is an ID token is refused under the profile %s, even where the audience is its client',
    async (profile) => {
      const { idToken } = await idp.login({ account: 'alice', resource: RESOURCE, scopes: ['openid', 'profile'] })
      const audience = idp.publicClient.clientId
      const careless = oidcVerifier({ issuers: [{ issuer: idp.issuer, profile }], audience })
      await expect(careless.verify(idToken ?? '')).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
    },
  )

  test('that is a refresh token, or opaque, is refused', async () => {
    const { refreshToken } = await idp.login({ account: 'alice', resource: RESOURCE })
    await expect(verifier().verify(refreshToken ?? '')).rejects.toMatchObject({
      code: 'ERR_SESSION_INVALID',
      message: 'the access token is opaque, and this server only takes signed ones',
    })
    const opaque = await idp.accessToken({ account: 'alice' })
    await expect(verifier().verify(opaque)).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })

  test('is not to be had from somebody who uses the same key id', async () => {
    const forger = await startSigner({ alg: 'RS256', kid: 'key-rsa' })
    const forged = await forger.sign({ iss: idp.issuer, aud: RESOURCE })
    await expect(verifier().verify(forged)).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
    await forger.stop()
  })
})

test('an outage of the provider is an outage, and over when it is over', async () => {
  let time = Date.now()
  const clock = { now: () => time }
  const one = oidcVerifier({ issuers: [{ issuer: idp.issuer }], audience: RESOURCE, timeout: 2_000, clock })
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map((account) => idp.accessToken({ account, resource: RESOURCE })),
  )
  for (const weather of ['unavailable', 'garbage', 'hang', 'refuse'] as const) {
    await idp.turn(weather)
    await expect(one.verify(alice ?? '')).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', retryable: true })
    // For so long nobody is asked again.
    time += 5_000
  }
  await idp.turn('fair')
  await expect(one.verify(alice ?? '')).resolves.toMatchObject({ subject: 'alice' })
  await idp.turn('refuse')
  await expect(one.verify(bob ?? '')).resolves.toMatchObject({ subject: 'bob' })
  await idp.turn('fair')
})
