import type { IncomingMessage } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Weather } from '../../../../test/fixtures/loopback-server.ts'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import type { IssuerOptions, OidcVerifierOptions } from '../../src/oidc/index.ts'
import type { SessionVerifier } from '../../src/session.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { AUDIENCE, outcomeOf, verifierOf } from './support.ts'

const TOKEN = '2YotnFZFEjr1zCsicMWpAA'
const OUTAGE = { code: 'ERR_DELEGATION_UNAVAILABLE', message: 'the access token could not be verified at the moment' }
const REFUSED = { code: 'ERR_SESSION_INVALID', message: 'the access token was refused' }

let signer: Signer
/** What the endpoint was asked, and as whom. */
let asked: { readonly authorization: string | undefined; readonly body: string }[]

beforeEach(async () => {
  signer = await startSigner()
  asked = []
  const introspection_endpoint = `${signer.issuer}/introspect`
  const document = { issuer: signer.issuer, jwks_uri: signer.jwksUri, introspection_endpoint }
  signer.json('/.well-known/openid-configuration', document)
})
afterEach(() => signer.stop())

const read = async (request: IncomingMessage): Promise<string> => {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

/** Lets the endpoint answer that the token is alice's, changed as given; undefined removes. */
function answer(change: Readonly<Record<string, unknown>> = {}, status = 200): void {
  const now = Math.floor(Date.now() / 1000)
  const token = { active: true, token_type: 'Bearer', sub: 'alice', client_id: 'mcp-client', aud: AUDIENCE }
  const body = JSON.stringify({ ...token, iss: signer.issuer, iat: now, exp: now + 300, scope: 'read', ...change })
  signer.route('/introspect', (request, response) => {
    void read(request).then((question) => {
      asked.push({ authorization: request.headers.authorization, body: question })
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
  })
}

function verifierWith(
  change: Partial<IssuerOptions['introspection']> = {},
  options: Partial<OidcVerifierOptions> = {},
): SessionVerifier {
  const introspection = { clientId: 'resource-server', clientSecret: async () => 's3cret:+', ...change }
  return verifierOf(signer, { introspection }, options)
}

test('an opaque token that is active makes a session, once, and as the client that is configured', async () => {
  answer()
  const verifier = verifierWith()
  const session = await verifier.verify(TOKEN)
  expect(session).toMatchObject({ issuer: signer.issuer, subject: 'alice', kind: 'user', clientId: 'mcp-client' })
  expect([...session.scopes]).toEqual(['read'])
  expect(await verifier.verify(TOKEN)).toBe(session)
  expect(asked).toHaveLength(1)
  const [id, secret] = atob(asked[0]?.authorization?.replace('Basic ', '') ?? '')
    .split(':')
    .map(decodeURIComponent)
  expect({ id, secret }).toEqual({ id: 'resource-server', secret: 's3cret:+' })
  const form = Object.fromEntries(new URLSearchParams(asked[0]?.body))
  expect(form).toEqual({ token: TOKEN, token_type_hint: 'access_token' })
  expect(signer.server.count('/jwks')).toBe(0)
})

test('the client can prove itself in the body', async () => {
  answer()
  await verifierWith({ authentication: 'client_secret_post' }).verify(TOKEN)
  expect(asked[0]?.authorization).toBeUndefined()
  expect(new URLSearchParams(asked[0]?.body).get('client_secret')).toBe('s3cret:+')
})

test('the secret is read for each question, so that a rotated one is used', async () => {
  answer()
  let secret = 'first'
  const verifier = verifierWith({ clientSecret: async () => secret, authentication: 'client_secret_post' })
  await verifier.verify(TOKEN)
  secret = 'second'
  await verifier.verify('another-token')
  expect(asked.map(({ body }) => new URLSearchParams(body).get('client_secret'))).toEqual(['first', 'second'])
})

test('a signed token is verified by its signature, and nobody is asked', async () => {
  answer()
  await expect(verifierWith().verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
  expect(await outcomeOf(verifierWith().verify(await signer.sign({ iss: 'https://other.example' })))).toMatchObject(
    REFUSED,
  )
  expect(asked).toEqual([])
})

describe('an answer is a refusal', () => {
  test.each([
    ['that is not active', { active: false }],
    ['for another audience', { aud: 'https://other.example' }],
    ['for nobody', { aud: undefined }],
    ['of another issuer', { iss: 'https://other.example' }],
    ['without an end', { exp: undefined }],
    ['without a time of issue', { iat: undefined }],
    ['for a token that is not valid yet', { nbf: Math.floor(Date.now() / 1000) + 60 }],
    ['for a token that was issued in the future', { iat: Math.floor(Date.now() / 1000) + 60 }],
    ['for an ID token', { at_hash: 'x' }],
    ['for a token bound to a key', { cnf: { jkt: 'x' } }],
    ['for a DPoP token', { token_type: 'DPoP' }],
    ['for a refresh token', { typ: 'Refresh' }],
    ['for a refresh token, as Hydra has it', { token_use: 'refresh_token' }],
    ['with another use', { token_use: 'id' }],
    ['that doesn’t say of what', { token_type: undefined }],
    ['that says of what by another type', { token_type: undefined, typ: 'JWT' }],
    ['with several token types', { token_type: ['Bearer', 'DPoP'] }],
    ['with no token type at all', { token_type: null }],
    ['with a token type that stands for none', { token_type: 'N_A' }],
    ['for a token with a nonce', { nonce: 'n' }],
    ['without subject and client', { sub: undefined, client_id: undefined }],
    ['without a client', { client_id: undefined }],
  ])('%s', async (_, change) => {
    answer(change)
    expect(await outcomeOf(verifierWith().verify(TOKEN))).toMatchObject(REFUSED)
  })

  test('for a token that has expired, with a code of its own', async () => {
    answer({ exp: Math.floor(Date.now() / 1000) - 1 })
    expect(await outcomeOf(verifierWith().verify(TOKEN))).toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
  })
})

test.each([
  ['token_type', { token_type: 'bearer' }],
  ['typ', { typ: 'Bearer', azp: 'mcp-client', session_state: 's', username: 'alice' }],
  ['token_use', { token_use: 'access_token', ext: {} }],
  ['a short token_use', { token_use: 'access' }],
])('an answer can say by %s that it is of an access token', async (_, change) => {
  answer({ token_type: undefined, ...change })
  await expect(verifierWith().verify(TOKEN)).resolves.toMatchObject({ subject: 'alice', kind: 'user' })
})

test('an answer as Keycloak writes it is read by its profile', async () => {
  const says = { typ: 'Bearer', token_type: 'Bearer', azp: 'mcp-client', jti: 'onrtac:1', acr: '1', username: 'alice' }
  answer({ ...says, preferred_username: 'alice', sid: 's', session_state: 's', realm_access: { roles: ['billing'] } })
  const introspection = { clientId: 'resource-server', clientSecret: async () => 's3cret' }
  const session = await verifierOf(signer, { profile: 'keycloak', introspection }).verify(TOKEN)
  expect(session).toMatchObject({ subject: 'alice', kind: 'user', clientId: 'mcp-client' })
  expect([...session.roles]).toEqual(['billing'])
})

test('an issuer may leave out what goes without saying: its name, and the subject of a machine', async () => {
  answer({ iss: undefined })
  await expect(verifierWith().verify(TOKEN)).resolves.toMatchObject({ issuer: signer.issuer, kind: 'user' })
  answer({ sub: undefined, client_id: 'robot' })
  await expect(verifierWith().verify(TOKEN)).resolves.toMatchObject({ subject: 'robot', kind: 'machine' })
})

describe('it is an outage', () => {
  test.each<Weather>(['unavailable', 'garbage', 'hang', 'refuse'])(
    'when the endpoint is %s, until it is back',
    async (weather) => {
      answer()
      const verifier = verifierWith({}, { timeout: 1_000 })
      await verifier.verify('finds the endpoint'.replaceAll(' ', '-'))
      await signer.turn(weather)
      expect(await outcomeOf(verifier.verify(TOKEN))).toMatchObject(OUTAGE)
      await signer.turn('fair')
      await expect(verifier.verify(TOKEN)).resolves.toMatchObject({ subject: 'alice' })
    },
  )

  test.each([
    ['when our own credentials are refused', { error: 'invalid_client' }, 401],
    ['when the answer says nothing of activity', { active: undefined }, 200],
    ['when the answer claims activity in words', { active: 'true' }, 200],
    ['when the answer is larger than 512 kB', { padding: 'x'.repeat(600_000) }, 200],
  ])('%s', async (_, change, status) => {
    answer(change, status)
    const outcome = await outcomeOf(verifierWith().verify(TOKEN))
    expect(outcome).toMatchObject(OUTAGE)
    expect(JSON.stringify(outcome)).not.toMatch(new RegExp(`s3cret|${TOKEN}`))
  })

  test('when the endpoint redirects, and the token is not taken there', async () => {
    const elsewhere = await startSigner()
    const location = `${elsewhere.issuer}/introspect`
    signer.route('/introspect', (_, response) => response.writeHead(307, { location }).end())
    expect(await outcomeOf(verifierWith().verify(TOKEN))).toMatchObject(OUTAGE)
    expect(elsewhere.server.requests).toEqual([])
    await elsewhere.stop()
  })

  test.each([undefined, 'http://idp.example/introspect'])(
    'when the document names the endpoint %s',
    async (endpoint) => {
      const document = { issuer: signer.issuer, jwks_uri: signer.jwksUri, introspection_endpoint: endpoint }
      signer.json('/.well-known/openid-configuration', document)
      const outcome = await outcomeOf(verifierWith().verify(TOKEN))
      expect(outcome).toMatchObject(OUTAGE)
      expect(outcome.reason).toContain('no "introspection_endpoint"')
    },
  )

  test('when our secret can’t be read, which only the operator learns', async () => {
    answer()
    const verifier = verifierWith({ clientSecret: { env: 'NO_SUCH_SECRET_HERE' } })
    const outcome = await outcomeOf(verifier.verify(TOKEN))
    expect(outcome).toMatchObject(OUTAGE)
    expect(outcome.reason).toContain('clientSecret')
    expect(asked).toEqual([])
  })

  test('when the answer is no JSON, of which nothing is shown: it may repeat the token', async () => {
    const lines: string[] = []
    const write = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`)
    const log = { debug: write, info: write, warn: write, error: write }
    signer.route('/introspect', (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(`nope: ${TOKEN}`),
    )
    const outcome = await outcomeOf(verifierWith({}, { log }).verify(TOKEN))
    expect(outcome).toMatchObject({ ...OUTAGE, reason: expect.stringContaining('not JSON') })
    expect(lines).toHaveLength(1)
    expect(JSON.stringify([outcome, lines])).not.toContain(TOKEN.slice(0, 5))
  })
})

describe('the endpoint is looked for anew', () => {
  const place = (introspection_endpoint?: string): void =>
    signer.json('/.well-known/openid-configuration', {
      issuer: signer.issuer,
      jwks_uri: signer.jwksUri,
      introspection_endpoint,
    })
  const discoveries = (): number => signer.server.count('/.well-known/openid-configuration')

  test('where there was none', async () => {
    const clock = fakeClock()
    answer()
    place()
    const verifier = verifierWith({}, { clock })
    for (const token of ['a', 'b', 'c']) expect(await outcomeOf(verifier.verify(token))).toMatchObject(OUTAGE)
    place(`${signer.issuer}/introspect`)
    expect(await outcomeOf(verifier.verify('d'))).toMatchObject(OUTAGE)
    expect(discoveries()).toBe(1)
    clock.tick(30_000)
    await expect(verifier.verify('e')).resolves.toMatchObject({ subject: 'alice' })
  })

  test('where it failed', async () => {
    const clock = fakeClock()
    answer()
    place(`${signer.issuer}/old`)
    const verifier = verifierWith({}, { clock })
    for (const token of ['a', 'b', 'c']) expect(await outcomeOf(verifier.verify(token))).toMatchObject(OUTAGE)
    place(`${signer.issuer}/introspect`)
    expect(await outcomeOf(verifier.verify('d'))).toMatchObject(OUTAGE)
    expect(discoveries()).toBe(1)
    clock.tick(30_000)
    await expect(verifier.verify('e')).resolves.toMatchObject({ subject: 'alice' })
    expect(discoveries()).toBe(2)
  })
})

test('no more than twenty questions are asked at once, and whoever comes then learns when to come back', async () => {
  const clock = fakeClock()
  const waiting: (() => void)[] = []
  signer.route('/introspect', (_, response) => {
    waiting.push(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{"active":false}'))
  })
  const verifier = verifierWith({}, { clock })
  const asking = Array.from({ length: 20 }, (_, index) => outcomeOf(verifier.verify(`token-${index}`)))
  await expect.poll(() => waiting.length, { timeout: 10_000 }).toBe(20)
  const retryAfter = new Date(clock.now() + 1_000)
  await expect(verifier.verify(TOKEN)).rejects.toMatchObject({ code: OUTAGE.code, retryAfter })
  for (const proceed of waiting) proceed()
  for (const outcome of await Promise.all(asking)) expect(outcome).toMatchObject(REFUSED)
  answer()
  await expect(verifier.verify(TOKEN)).resolves.toMatchObject({ subject: 'alice' })
})
