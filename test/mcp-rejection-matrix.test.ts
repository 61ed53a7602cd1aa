import { connect } from 'node:net'
import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { onFastMcp, onSdkV1, onSdkV2, startServer, type TestServer } from './fixtures/mcp-servers.ts'
import { type Signer, startSigner } from './fixtures/signer.ts'

const SERVERS = { 'SDK v2': onSdkV2, 'SDK v1': onSdkV1, fastmcp: onFastMcp } as const
const KINDS = Object.keys(SERVERS) as (keyof typeof SERVERS)[]
const now = (): number => Math.floor(Date.now() / 1000)
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }

const post = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(CALL),
  })

/** Status, challenge and body of what these bytes are answered with. */
async function send(url: string, headers: readonly string[]): Promise<{ status: number; head: string; body: string }> {
  const { port, host, pathname } = new URL(url)
  const body = JSON.stringify(CALL)
  const lines = [
    `POST ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: close',
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    `Content-Length: ${body.length}`,
    ...headers,
  ]
  const socket = connect(Number(port), '127.0.0.1')
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  const [head = '', ...rest] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body: rest.join('\r\n\r\n') }
}

describe.each(KINDS)('a server on %s', (kind) => {
  let signer: Signer
  let served: TestServer
  let metadata: string

  beforeAll(async () => {
    signer = await startSigner()
    served = await startServer(SERVERS[kind], { idp: signer, protect: { requiredScopes: ['mcp'] } })
    metadata = `${new URL(served.url).origin}/.well-known/oauth-protected-resource/mcp`
  })
  afterAll(async () => {
    await served[Symbol.asyncDispose]()
    await signer.stop()
  })

  const sign = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> =>
    signer.sign({ aud: served.url, scope: 'mcp', ...claims }, header)
  const withToken = async (token: Promise<string> | string): Promise<Response> =>
    post(served.url, { authorization: `Bearer ${await token}` })

  test('serves a good token, also one whose audience is a list that names the server', async () => {
    for (const aud of [served.url, ['https://other.example', served.url]]) {
      const response = await withToken(sign({ aud }))
      expect(response.status).toBe(200)
      expect(await response.text()).toContain('alice as alice')
    }
  })

  async function expectInvalid(response: Response): Promise<void> {
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer error="invalid_token", error_description="The access token is not valid", scope="mcp", resource_metadata="${metadata}"`,
    )
    const body = await response.text()
    expect(JSON.parse(body)).toEqual({ error: 'invalid_token', error_description: 'The access token is not valid' })
    expect(served.records.at(-1)).toMatchObject({ event: 'authentication', outcome: 'refused', subject: undefined })
  }

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['for another audience', { aud: 'https://other.example' }, {}],
    ['for nobody', { aud: undefined }, {}],
    ['for a list without this server', { aud: ['https://other.example'] }, {}],
    ['for a longer name of this server', { aud: 'LONGER' }, {}],
    ['that has expired', { exp: now() - 60 }, {}],
    ['without an end', { exp: undefined }, {}],
    ['that is not valid yet', { nbf: now() + 60 }, {}],
    ['without a time of issue', { iat: undefined }, {}],
    ['from the future', { iat: now() + 60 }, {}],
    ['of another issuer', { iss: 'https://idp.example' }, {}],
    ['of type JWT, as ID tokens are', {}, { typ: 'JWT' }],
    ['with a nonce, as ID tokens have', { nonce: 'n' }, {}],
    ['with an unknown key id', {}, { kid: 'unknown' }],
    ['bound to a DPoP key', { cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' } }, {}],
    ['with a subject that hides something', { sub: 'alice\u202e' }, {}],
    ['with an endless subject', { sub: 'a'.repeat(10_000) }, {}],
  ])('answers 401 invalid_token to a token %s', async (_, claims, header) => {
    const aud = claims['aud'] === 'LONGER' ? { aud: `${served.url}/admin` } : {}
    await expectInvalid(await withToken(sign({ ...claims, ...aud }, header)))
  })

  test('answers 401 invalid_token to forged signatures and algorithms', async () => {
    const claims = { iss: signer.issuer, sub: 'alice', aud: served.url, client_id: 'c', scope: 'mcp' }
    const times = { iat: now(), exp: now() + 300 }
    const foreign = await generateKeyPair('ES256')
    const publicKey = new TextEncoder().encode(JSON.stringify(signer.publicJwk))
    const header = { typ: 'at+jwt', kid: signer.kid }
    const good = await sign()
    for (const token of [
      await new SignJWT({ ...claims, ...times })
        .setProtectedHeader({ ...header, alg: 'ES256' })
        .sign(foreign.privateKey),
      await new SignJWT({ ...claims, ...times }).setProtectedHeader({ ...header, alg: 'HS256' }).sign(publicKey),
      new UnsecuredJWT({ ...claims, ...times }).encode(),
      good.slice(0, -4),
      good.split('.').slice(0, 2).join('.'),
      'opaque-token',
      'a'.repeat(8_000),
    ])
      await expectInvalid(await withToken(token))
  })

  test('answers 401 without an error to who shows no token, and records nothing', async () => {
    const before = served.records.length
    const challenge = `Bearer scope="mcp", resource_metadata="${metadata}"`
    for (const headers of [{}, { authorization: 'Basic YWxpY2U6cHc=' }, { authorization: `DPoP ${await sign()}` }]) {
      const response = await post(served.url, headers as Record<string, string>)
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, challenge])
      expect(await response.json()).toEqual({ error: 'unauthorized', error_description: 'An access token is required' })
    }
    const inQuery = await post(`${served.url}?access_token=${await sign()}`)
    expect([inQuery.status, inQuery.headers.get('www-authenticate')]).toEqual([401, challenge])
    expect(served.records).toHaveLength(before)
  })

  test('answers 400 to a malformed request', async () => {
    const token = await sign()
    const malformed = [
      ['Authorization: Bearer'],
      [`Authorization: Bearer ${token} ${token}`],
      [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`],
      [`Authorization: Basic YTpi`, `authorization: Bearer ${token}`],
    ]
    for (const headers of malformed) {
      const { status, head, body } = await send(served.url, headers)
      expect(status).toBe(400)
      expect(head).toMatch(/^www-authenticate: Bearer error="invalid_request"/im)
      expect(body).toContain('invalid_request')
    }
    const both = await post(`${served.url}?access_token=${token}`, { authorization: `Bearer ${token}` })
    expect(both.status).toBe(400)
    expect(served.records.at(-1)).toMatchObject({ event: 'authentication', code: 'ERR_SESSION_INVALID' })
  })

  test('answers 403 insufficient_scope where a base scope is missing', async () => {
    const response = await withToken(sign({ scope: 'openid' }))
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([
      403,
      `Bearer error="insufficient_scope", error_description="The access token lacks a scope", scope="mcp", resource_metadata="${metadata}"`,
    ])
    expect(served.records.at(-1)).toMatchObject({
      event: 'authentication',
      code: 'ERR_SESSION_SCOPE',
      subject: 'alice',
    })
  })

  test('answers 403 without a challenge to a blocked user, and 401 to an ended session', async () => {
    const blocked = { iss: signer.issuer, sub: 'blocked' }
    await served.registry.block({ issuer: signer.issuer, subject: 'blocked' })
    const response = await withToken(sign(blocked))
    expect([response.status, response.headers.has('www-authenticate')]).toEqual([403, false])
    expect(await response.json()).toEqual({ error: 'access_denied', error_description: 'Access is denied' })
    await served.registry.endSession({ sid: 'login-session-1' })
    const ended = await withToken(sign({ sid: 'login-session-1' }))
    expect([ended.status, ended.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('invalid_token'),
    ])
    expect((await withToken(sign({ sid: 'login-session-2' }))).status).toBe(200)
  })

  test('answers 403 to a web page of another origin, and serves one of this machine', async () => {
    const authorization = `Bearer ${await sign()}`
    expect((await post(served.url, { authorization, origin: 'https://evil.example' })).status).toBe(403)
    expect((await post(served.url, { authorization, origin: 'http://localhost:6274' })).status).toBe(200)
  })

  test('lets a machine in and delegates nothing to it', async () => {
    const response = await withToken(sign({ sub: 'mcp-client', client_id: 'mcp-client' }))
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('"mcp-delegation/code":"ERR_DELEGATION_DENIED"')
    expect(served.tools.at(-1)).toMatchObject({ outcome: 'failed', code: 'ERR_DELEGATION_DENIED' })
  })

  test('asks the provider once for a flood of unknown keys', async () => {
    const before = signer.server.count('/jwks')
    const flood = Array.from({ length: 50 }, (_, index) => withToken(sign({}, { kid: `flood-${index}` })))
    for (const response of await Promise.all(flood)) expect(response.status).toBe(401)
    expect(signer.server.count('/jwks') - before).toBeLessThanOrEqual(1)
  })

  test('shows no token, issuer or reason of a refusal to the outside', async () => {
    const token = await sign({ exp: now() - 60 })
    const response = await withToken(token)
    const shown = JSON.stringify([...response.headers, await response.text()])
    for (const secret of [token, signer.issuer, 'exp', 'alice']) expect(shown).not.toContain(`"${secret}`)
    expect(shown).not.toContain(token)
    expect(JSON.stringify(served.records)).not.toContain(token)
  })
})

describe('an outage of the provider is 503, and says when to come back', () => {
  let stop: (() => Promise<void>) | undefined
  afterEach(() => stop?.())

  test.each(['unavailable', 'garbage', 'hang', 'refuse'] as const)('%s', async (weather) => {
    const signer = await startSigner()
    stop = signer.stop
    await using served = await startServer(onSdkV2, { idp: signer })
    const authorization = `Bearer ${await signer.sign({ aud: served.url })}`
    await signer.turn(weather)
    const response = await post(served.url, { authorization })
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(response.headers.has('www-authenticate')).toBe(false)
    expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' })
    expect(served.records.at(-1)).toMatchObject({ event: 'authentication', code: 'ERR_DELEGATION_UNAVAILABLE' })
  })

  test('and it is over when the provider is back', async () => {
    const signer = await startSigner()
    stop = signer.stop
    await using served = await startServer(onSdkV2, { idp: signer })
    const authorization = `Bearer ${await signer.sign({ aud: served.url })}`
    await signer.turn('unavailable')
    expect((await post(served.url, { authorization })).status).toBe(503)
    await signer.turn('fair')
    await expect.poll(async () => (await post(served.url, { authorization })).status, { timeout: 15_000 }).toBe(200)
  })
})

test('nothing listens elsewhere: every path of the server is behind the gate', async () => {
  const signer = await startSigner()
  await using served = await startServer(onSdkV2, { idp: signer })
  const { origin } = new URL(served.url)
  for (const path of ['/', '/mcp/', '/health', '/.well-known/', '/.well-known/oauth-protected-resource/mcp/'])
    expect((await fetch(origin + path)).status).toBe(401)
  await signer.stop()
})
