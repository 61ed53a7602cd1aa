import { DelegationError, type DelegationErrorCode } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { createGate, type Head } from '../src/gate.ts'
import { checkOptions } from '../src/options.ts'
import { transportSessions } from '../src/transport-session.ts'
import { METADATA, verifierOf, world } from './support.ts'

function gateOf(...given: Parameters<typeof world>) {
  const { options, ...rest } = world(...given)
  const transports = transportSessions()
  const gate = createGate(checkOptions(options), transports)
  const admit = (head: Partial<Head> = {}, signal?: AbortSignal) =>
    gate.admit(
      {
        method: 'POST',
        url: '/mcp',
        authorization: 'Bearer alice',
        origin: undefined,
        transportSession: undefined,
        requestedHeaders: undefined,
        ...head,
      },
      signal,
    )
  return { admit, transports, ...rest }
}

const failing = (code: DelegationErrorCode, options?: ConstructorParameters<typeof DelegationError>[2]) =>
  verifierOf({ alice: new DelegationError(code, 'said the verifier', options) })
const failed = (error: Error) => verifierOf({ alice: error })

test('a caller in good standing is admitted, and nothing is recorded', async () => {
  const { admit, records } = gateOf()
  expect(await admit()).toMatchObject({ session: { subject: 'alice' }, headers: undefined })
  expect(await admit({ authorization: ['Bearer bob'] })).toMatchObject({ session: { subject: 'bob' } })
  expect(records).toEqual([])
})

test('a machine is let in: it is the registry that delegates nothing to it', async () => {
  const { admit } = gateOf({ verifier: verifierOf({ alice: testSession({ kind: 'machine' }) }) })
  expect(await admit()).toMatchObject({ session: { kind: 'machine' } })
})

describe('refusals', () => {
  test('a request without a token is challenged without an error, and not recorded', async () => {
    const { admit, records } = gateOf({ requiredScopes: ['mcp'] })
    for (const authorization of [undefined, 'Basic YTpi', 'Negotiate abc'])
      expect(await admit({ authorization })).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': `Bearer scope="mcp", resource_metadata="${METADATA}"` },
      })
    expect(await admit({ authorization: undefined, url: '/mcp?access_token=alice' })).toMatchObject({ status: 401 })
    expect(records).toEqual([])
  })

  test('a token that is refused is 401 invalid_token, and recorded with nobody’s name', async () => {
    const { admit, records } = gateOf()
    expect(await admit({ authorization: 'Bearer forged' })).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': expect.stringContaining('error="invalid_token"') },
    })
    expect(records).toEqual([
      {
        event: 'authentication',
        outcome: 'refused',
        at: expect.any(Date),
        sessionId: undefined,
        issuer: undefined,
        subject: undefined,
        clientId: undefined,
        act: [],
        durationMs: expect.any(Number),
        code: 'ERR_SESSION_INVALID',
        reason: 'the token is not valid',
        traceId: undefined,
      },
    ])
  })

  test('a malformed request is 400, and its tokens are not looked at', async () => {
    const { options, records } = world()
    const verify = vi.spyOn(options.verifier, 'verify')
    const gate = createGate(checkOptions(options), transportSessions())
    const head = { method: 'POST', origin: undefined, transportSession: undefined, requestedHeaders: undefined }
    for (const [authorization, url] of [
      [['Bearer alice', 'Bearer bob'], '/mcp'],
      ['Bearer alice, Bearer bob', '/mcp'],
      ['Bearer', '/mcp'],
      ['Bearer alice', '/mcp?access_token=alice'],
    ] as const)
      expect(await gate.admit({ ...head, authorization, url })).toMatchObject({
        status: 400,
        headers: { 'www-authenticate': expect.stringContaining('error="invalid_request"') },
      })
    expect(verify).not.toHaveBeenCalled()
    expect(records).toHaveLength(4)
    expect(records[0]).toMatchObject({ event: 'authentication', code: 'ERR_SESSION_INVALID' })
  })

  test('a blocked identity is 403 without a challenge, at once, and recorded by name', async () => {
    const { admit, registry, records } = gateOf()
    await registry.block({ issuer: 'https://idp.example', subject: 'alice' })
    const answer = await admit()
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('access_denied') })
    expect('headers' in answer && answer.headers).not.toHaveProperty('www-authenticate')
    expect(records.at(-1)).toMatchObject({ event: 'authentication', code: 'ERR_SESSION_BLOCKED', subject: 'alice' })
    expect(await admit({ authorization: 'Bearer bob' })).toMatchObject({ session: { subject: 'bob' } })
    await registry.unblock({ issuer: 'https://idp.example', subject: 'alice' })
    expect(await admit()).toMatchObject({ session: { subject: 'alice' } })
  })

  test('an ended session, and what is no session, are 401 invalid_token', async () => {
    const session = testSession()
    const { admit, records, registry } = gateOf({ verifier: verifierOf({ alice: session, forged: { ...session } }) })
    const refused = { status: 401, headers: { 'www-authenticate': expect.stringContaining('invalid_token') } }
    expect(await admit({ authorization: 'Bearer forged' })).toMatchObject(refused)
    expect(records.at(-1)).toMatchObject({
      reason: 'the verifier made no session',
      issuer: undefined,
      subject: undefined,
    })
    await registry.endSession(session)
    expect(await admit()).toMatchObject(refused)
  })

  test('a missing base scope is 403 insufficient_scope, unless the hierarchy gives it', async () => {
    const verifier = verifierOf({
      none: testSession(),
      wide: testSession({ scopes: new Set(['admin']) }),
    })
    const { admit, records } = gateOf({ verifier, requiredScopes: ['mcp'], scopeHierarchy: { admin: ['mcp'] } })
    expect(await admit({ authorization: 'Bearer none' })).toMatchObject({
      status: 403,
      headers: {
        'www-authenticate': `Bearer error="insufficient_scope", error_description="The access token lacks a scope", scope="mcp", resource_metadata="${METADATA}"`,
      },
    })
    expect(records).toMatchObject([{ event: 'authentication', code: 'ERR_SESSION_SCOPE', subject: 'alice' }])
    expect(await admit({ authorization: 'Bearer wide' })).toHaveProperty('session')
  })

  test('standing is judged before scopes: a blocked user is not sent to log in', async () => {
    const { admit, registry } = gateOf({ requiredScopes: ['mcp'] })
    await registry.block({ issuer: 'https://idp.example', subject: 'alice' })
    expect(await admit()).toMatchObject({ status: 403, body: expect.stringContaining('access_denied') })
  })

  test.each([
    ['ERR_SESSION_INVALID', 401, 'invalid_token'],
    ['ERR_SESSION_EXPIRED', 401, 'invalid_token'],
    ['ERR_SESSION_SCOPE', 403, 'insufficient_scope'],
    ['ERR_SESSION_BLOCKED', 403, 'access_denied'],
    ['ERR_DELEGATION_DENIED', 403, 'access_denied'],
    ['ERR_RATE_LIMITED', 429, 'slow_down'],
    ['ERR_DELEGATION_UNAVAILABLE', 503, 'temporarily_unavailable'],
    ['ERR_DELEGATION_PROTOCOL', 500, 'server_error'],
  ] as const)('the verifier says %s: %i %s, with a generic body', async (code, status, error) => {
    const { admit, records } = gateOf({ verifier: failing(code) })
    const answer = await admit()
    expect(answer).toMatchObject({ status, body: expect.stringContaining(`"error":"${error}"`) })
    expect(JSON.stringify(answer)).not.toMatch(/said the verifier|idp\.example/)
    expect(records).toMatchObject([{ event: 'authentication', code }])
  })

  test('an outage says when to come back', async () => {
    const clock = fakeClock()
    const soon = failing('ERR_DELEGATION_UNAVAILABLE', { retryAfter: new Date(clock.now() + 6_500) })
    const { admit, log } = gateOf({ clock, verifier: soon })
    expect(await admit()).toMatchObject({ status: 503, headers: { 'retry-after': '7' } })
    expect(log.entries).toMatchObject([{ level: 'warn', message: 'callers cannot be verified' }])
    clock.tick(60_000)
    expect(await admit()).toMatchObject({ headers: { 'retry-after': '1' } })
    const { admit: unsaid } = gateOf({ verifier: failing('ERR_DELEGATION_UNAVAILABLE') })
    expect(await unsaid()).toMatchObject({ headers: { 'retry-after': '5' } })
  })

  test('a verifier that fails is 500 and logged, never 401', async () => {
    const { admit, log, records } = gateOf({ verifier: failed(new TypeError('undefined is not a function')) })
    const answer = await admit()
    expect(answer).toMatchObject({ status: 500 })
    expect(JSON.stringify(answer)).not.toContain('undefined is not')
    expect(log.entries).toMatchObject([{ level: 'error', message: 'the verifier failed' }])
    expect(records).toMatchObject([{ code: undefined, reason: 'the verifier failed' }])
  })

  test('a scope that the verifier misses is asked for together with the base scopes', async () => {
    const { admit } = gateOf({
      requiredScopes: ['mcp'],
      verifier: failing('ERR_SESSION_SCOPE', { scopes: ['x', 'mcp'] }),
    })
    expect(await admit()).toMatchObject({
      headers: { 'www-authenticate': expect.stringContaining('scope="mcp x"') },
    })
  })

  test('stands where the audit sink fails, and that is logged', async () => {
    const { admit, log } = gateOf({}, { audit: () => Promise.reject(new Error('disk full')) })
    expect(await admit({ authorization: 'Bearer forged' })).toMatchObject({ status: 401 })
    expect(log.entries.at(-1)).toMatchObject({ level: 'error', message: 'a refusal could not be recorded' })
  })

  test('an outage of the block store is 503: whether the caller is blocked cannot be told', async () => {
    const blocks = {
      standing: () => {
        throw new Error('connect ECONNREFUSED')
      },
      block: async () => {},
      unblock: async () => {},
    }
    const { admit, records } = gateOf({}, { blocks })
    const answer = await admit()
    expect(answer).toMatchObject({ status: 503 })
    expect(JSON.stringify(answer)).not.toContain('ECONNREFUSED')
    expect(records).toMatchObject([{ event: 'authentication', code: 'ERR_DELEGATION_UNAVAILABLE', subject: 'alice' }])
  })

  test('nobody is refused, or recorded, who has gone', async () => {
    const controller = new AbortController()
    const verifier = {
      issuers: ['https://idp.example'],
      verify: async () => {
        controller.abort()
        throw new DelegationError('ERR_SESSION_INVALID', 'late')
      },
    }
    const { admit, records } = gateOf({ verifier })
    expect(await admit({}, controller.signal)).toMatchObject({ status: 499 })
    expect(records).toEqual([])
  })
})

describe('transport sessions', () => {
  test('bob’s token with alice’s transport session id is answered with 404, and recorded', async () => {
    const { admit, transports, records } = gateOf()
    const admitted = await admit()
    const transportSession = transports.generator('session' in admitted ? admitted.session : undefined)()
    expect(await admit({ transportSession })).toHaveProperty('session')
    expect(await admit({ transportSession, authorization: 'Bearer bob' })).toMatchObject({
      status: 404,
      body: expect.stringContaining('Session not found'),
    })
    expect(records).toMatchObject([{ event: 'authentication', code: 'ERR_SESSION_INVALID', subject: 'bob' }])
  })

  test('an id that was not made here is nobody’s', async () => {
    const { admit } = gateOf()
    expect(await admit({ transportSession: '1868a90c-5f6b-4c3a-9f4e-0d0a5c2f7b11' })).toMatchObject({ status: 404 })
  })
})

describe('web pages', () => {
  test('of a foreign origin are refused before their token is looked at', async () => {
    const { admit, records, log } = gateOf()
    expect(await admit({ origin: 'https://evil.example' })).toMatchObject({ status: 403 })
    expect(log.entries).toMatchObject([{ level: 'debug', fields: { origin: 'https://evil.example' } }])
    expect(await admit({ origin: 'null' })).toMatchObject({ status: 403 })
    expect(await admit({ origin: 'https://mcp.example' })).toHaveProperty('session')
    expect(records).toEqual([])
  })

  test('of an allowed origin may ask first, and read every answer', async () => {
    const origin = 'https://app.example'
    const { admit } = gateOf({ allowedOrigins: [origin] })
    expect(
      await admit({
        method: 'OPTIONS',
        origin,
        authorization: undefined,
        requestedHeaders: 'authorization,mcp-method',
      }),
    ).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-headers': 'authorization,mcp-method',
        'access-control-allow-methods': 'GET, POST, DELETE',
      },
    })
    const hostile = await admit({ method: 'OPTIONS', origin, requestedHeaders: 'x\r\ny: z' })
    expect(JSON.stringify(hostile)).not.toContain('y: z')
    const headers = { 'access-control-allow-origin': origin, vary: 'origin' }
    expect(await admit({ origin, authorization: undefined })).toMatchObject({ status: 401, headers })
    expect(await admit({ origin, authorization: 'Bearer forged' })).toMatchObject({ status: 401, headers })
    expect(await admit({ origin })).toMatchObject({ session: { subject: 'alice' }, headers })
  })

  test('of a foreign origin get no preflight', async () => {
    const { admit } = gateOf()
    expect(await admit({ method: 'OPTIONS', origin: 'https://evil.example' })).toMatchObject({ status: 403 })
  })
})

describe('metadata', () => {
  test.each([
    '/.well-known/oauth-protected-resource/mcp',
    '/.well-known/oauth-protected-resource',
    '/.well-known/oauth-protected-resource?x=1',
    'https://mcp.example/.well-known/oauth-protected-resource/mcp',
    'https://mcp.example/.well-known/oauth-protected-resource#x',
  ])('is served without a token, to any origin: %s', async (url) => {
    const { admit } = gateOf()
    const answer = await admit({ method: 'GET', url, authorization: undefined, origin: 'https://any.example' })
    expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': '*' } })
  })

  test.each([
    '/.well-known/oauth-protected-resource/mcp/',
    '/.well-known/oauth-protected-resource/../mcp',
    '/.well-known/oauth-protected-resource%2Fmcp',
    '/mcp?/.well-known/oauth-protected-resource',
    'https://mcp.example',
    'https://mcp.example?/.well-known/oauth-protected-resource',
  ])('nothing else passes as metadata: %s', async (url) => {
    const { admit } = gateOf()
    expect(await admit({ method: 'GET', url, authorization: undefined })).toMatchObject({ status: 401 })
  })
})

describe('a verifier of anybody', () => {
  test.each([undefined, null, 7, 'alice', { answer: { status: 200, headers: {}, body: 'open' } }])(
    'that answers with %j admits nobody',
    async (answer) => {
      const verifier = { issuers: ['https://idp.example'], verify: async () => answer as never }
      const { admit, records } = gateOf({ verifier })
      expect(await admit()).toMatchObject({ status: 401, body: expect.not.stringContaining('open') })
      expect(records).toMatchObject([{ event: 'authentication', reason: 'the verifier made no session' }])
    },
  )

  test('that remembers sessions does not keep an expired one alive', async () => {
    const clock = fakeClock()
    const session = testSession({ expiresAt: new Date(clock.now() + 1_000) })
    const { admit, records } = gateOf({ verifier: verifierOf({ alice: session }), clock })
    expect(await admit()).toMatchObject({ session })
    clock.tick(1_000)
    expect(await admit()).toMatchObject({ status: 401 })
    expect(records).toMatchObject([{ code: 'ERR_SESSION_EXPIRED', subject: 'alice' }])
  })

  test('that asks for offline_access does not get it into a challenge', async () => {
    const { admit } = gateOf({
      verifier: failing('ERR_SESSION_SCOPE', { scopes: ['more', 'offline_access', 'a b'] }),
    })
    expect(await admit()).toMatchObject({ headers: { 'www-authenticate': expect.stringMatching(/scope="more"/) } })
  })
})
