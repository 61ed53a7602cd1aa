import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type IdentityProvider, startIdentityProvider } from './fixtures/identity-provider.ts'

const RESOURCE = 'https://mcp.example/mcp'
const OPAQUE = 'https://mcp.example/opaque'
let idp: IdentityProvider

beforeAll(async () => {
  idp = await startIdentityProvider({
    accounts: { alice: { preferred_username: 'alice.a', groups: ['staff'] } },
    resources: {
      [RESOURCE]: { scopes: ['tools:read', 'tools:write'], ttl: 120 },
      [OPAQUE]: { scopes: ['tools:read'], format: 'opaque' },
    },
  })
})
afterAll(() => idp.stop())

test('a headless login gives a signed access token of the user, and a refreshed one of the same session', async () => {
  const tokens = await idp.login({ account: 'alice', resource: RESOURCE, scopes: ['openid', 'tools:read'] })
  expect(decodeProtectedHeader(tokens.accessToken)).toEqual({ alg: 'RS256', typ: 'at+jwt', kid: 'key-rsa' })
  const claims = decodeJwt(tokens.accessToken)
  expect(claims).toMatchObject({ iss: idp.issuer, sub: 'alice', aud: RESOURCE, client_id: 'mcp-client' })
  expect(claims).toMatchObject({ scope: 'tools:read', preferred_username: 'alice.a', groups: ['staff'] })
  expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(120)
  expect(decodeJwt(tokens.idToken ?? '')).toMatchObject({ sub: 'alice', aud: 'mcp-client' })

  const again = decodeJwt((await idp.refresh(tokens.refreshToken ?? '')).accessToken)
  expect(again).toMatchObject({ sub: 'alice', sid: claims['sid'], scope: 'tools:read' })
  expect(again.jti).not.toBe(claims.jti)
})

test('client credentials give a token whose subject is the client', async () => {
  const claims = decodeJwt(await idp.clientCredentialsToken({ resource: RESOURCE, scopes: ['tools:read'] }))
  expect(claims).toMatchObject({ sub: 'robot', client_id: 'robot', aud: RESOURCE })
  expect(claims).not.toHaveProperty('sid')
})

test('a resource can have opaque tokens', async () => {
  const token = await idp.accessToken({ account: 'alice', resource: OPAQUE, scopes: ['tools:read'] })
  expect(token).toMatch(/^[\w-]+$/)
})

test('an unknown account and an unknown resource get nothing', async () => {
  await expect(idp.accessToken({ account: 'mallory', resource: RESOURCE })).rejects.toThrow('answered 400')
  await expect(idp.accessToken({ account: 'alice', resource: 'https://other.example' })).rejects.toThrow(
    'invalid_target',
  )
})

test('a client that registered itself may log in and ask for more scopes later', async () => {
  const redirectUri = 'http://localhost:9999/callback'
  const response = await fetch(`${idp.issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      scope: 'tools:read',
    }),
  })
  const { client_id } = (await response.json()) as { client_id: string }
  const url = new URL(`${idp.issuer}/auth`)
  url.search = new URLSearchParams({
    client_id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid tools:write offline_access',
    prompt: 'consent',
    resource: RESOURCE,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    state: 's',
  }).toString()
  const called = await idp.follow(url, 'alice')
  expect(Object.fromEntries(called)).toEqual({ code: expect.any(String), state: 's', iss: idp.issuer })
})

test('it can be down, broken, silent or gone, and come back on the same port', async () => {
  const ask = async (): Promise<number> => (await fetch(idp.jwksUri, { signal: AbortSignal.timeout(300) })).status
  await idp.turn('unavailable')
  expect(await ask()).toBe(503)
  await idp.turn('garbage')
  expect(await ask()).toBe(200)
  await idp.turn('hang')
  await expect(ask()).rejects.toMatchObject({ name: 'TimeoutError' })
  await idp.turn('refuse')
  await expect(ask()).rejects.toThrow('fetch failed')
  await idp.turn('fair')
  expect(await ask()).toBe(200)
  expect(idp.server.count('/jwks')).toBe(4)
})
