import type { IncomingMessage, ServerResponse } from 'node:http'
import { testSession } from '@mcp-delegation/core/testing'
import { protectMcp } from '@mcp-delegation/mcp'
import { createMcpHandler, McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { onSdkV1, onSdkV2, startServer, type TestServer } from './fixtures/mcp-servers.ts'
import { type Signer, startSigner } from './fixtures/signer.ts'
import { withFastify } from './mounts/fastify.ts'
import { withHono } from './mounts/hono.ts'

// What the SDK leaves to whoever protects a server with it, and what becomes of it here: real tokens, over HTTP.

let signer: Signer
let served: TestServer
beforeAll(async () => {
  signer = await startSigner()
  served = await startServer(onSdkV2, {
    idp: signer,
    protect: {
      requiredScopes: ['mcp'],
      scopeHierarchy: { admin: ['items:write'], 'items:write': ['items:delete', 'mcp'] },
    },
  })
})
afterAll(async () => {
  await served[Symbol.asyncDispose]()
  await signer.stop()
})

const tokenFor = (audience: string, claims: Record<string, unknown> = {}): Promise<string> =>
  signer.sign({ aud: audience, scope: 'mcp', ...claims })

/** A tool call as a 2025-era client sends it. */
async function call(
  name: string,
  args: object,
  token: string | undefined,
  { url = served.url, headers = {} }: { url?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; challenge: string | null; text: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
  })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() }
}

test('a token that is bound to a key is not accepted as a plain bearer token', async () => {
  const cnf = { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' }
  expect((await call('whoami', {}, await tokenFor(served.url))).status).toBe(200)
  expect((await call('whoami', {}, await tokenFor(served.url, { cnf }))).status).toBe(401)
})

test('a wider scope does for the scopes that it includes, transitively, at the gate and at the tool', async () => {
  const wide = await tokenFor(served.url, { scope: 'admin' })
  expect((await call('erase', { item: 'bolt' }, wide)).text).toContain('alice erased bolt')
  expect((await call('erase', { item: 'bolt' }, await tokenFor(served.url))).status).toBe(403)
})

test('the audience is read from the token itself, and must be this server', async () => {
  await using other = await startServer(onSdkV2, { idp: signer, protect: { requiredScopes: ['mcp'] } })
  const token = await tokenFor(other.url)
  expect((await call('whoami', {}, token, { url: other.url })).status).toBe(200)
  expect((await call('whoami', {}, token)).status).toBe(401)
})

test('a provider that cannot be asked is an outage, however it fails, and no reason to log in again', async () => {
  for (const weather of ['unavailable', 'garbage', 'hang', 'refuse'] as const) {
    const provider = await startSigner()
    await using fresh = await startServer(onSdkV2, { idp: provider })
    const token = await provider.sign({ aud: fresh.url })
    await provider.turn(weather)
    expect(await call('whoami', {}, token, { url: fresh.url })).toMatchObject({ status: 503, challenge: null })
    await provider.stop()
  }
})

test('nobody is told that a token is invalid who has shown none', async () => {
  const { status, challenge } = await call('whoami', {}, undefined)
  expect(status).toBe(401)
  expect(challenge).toMatch(/^Bearer scope="mcp", resource_metadata="http/)
  expect(challenge).not.toContain('error')
})

test('the metadata is at the path form and at the root form', async () => {
  const { origin } = new URL(served.url)
  for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource']) {
    const response = await fetch(origin + path)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toMatchObject({ resource: served.url, authorization_servers: [signer.issuer] })
  }
})

test('a transport session serves only the user who began it', async () => {
  const token = { alice: await tokenFor(served.url), bob: await tokenFor(served.url, { sub: 'bob' }) }
  const mcp = protectMcp({
    resource: served.url,
    registry: served.registry,
    verifier: { issuers: [signer.issuer], verify: async (shown) => (shown === token.bob ? bob : alice) },
  })
  const [alice, bob] = [testSession({ subject: 'alice' }), testSession({ subject: 'bob' })]
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>()
  const serve = mcp.fetch({
    async fetch(request, { authInfo } = {}) {
      const known = sessions.get(request.headers.get('mcp-session-id') ?? '')
      if (known !== undefined) return known.handleRequest(request, authInfo && { authInfo })
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: mcp.sessionIdGenerator(authInfo),
        onsessioninitialized: (id) => {
          sessions.set(id, transport)
        },
      })
      await new McpServer({ name: 'test', version: '1.0.0' }, { capabilities: { tools: {} } }).connect(transport)
      return transport.handleRequest(request, authInfo && { authInfo })
    },
  })
  const post = (who: 'alice' | 'bob', method: string, params: object, id?: string): Promise<Response> =>
    serve(
      new Request(served.url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token[who]}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(id !== undefined && { 'mcp-session-id': id }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      }),
    )
  const clientInfo = { name: 'test', version: '1' }
  const begun = await post('alice', 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo })
  const id = begun.headers.get('mcp-session-id') ?? ''
  expect((await post('alice', 'ping', {}, id)).status).toBe(200)
  expect((await post('bob', 'ping', {}, id)).status).toBe(404)
})

test('a step-up asks for the base scopes again, so that no client loses them', async () => {
  const { status, challenge } = await call('erase', { item: 'bolt' }, await tokenFor(served.url))
  expect(status).toBe(403)
  expect(challenge).toContain('error="insufficient_scope"')
  expect(challenge).toContain('scope="mcp items:delete"')
  expect(challenge).toContain('resource_metadata="')
})

describe('frameworks without a gate of their own', () => {
  const handler = createMcpHandler(() => new McpServer({ name: 'test', version: '1.0.0' }))
  const mcp = () =>
    protectMcp({
      resource: served.url,
      registry: served.registry,
      verifier: { issuers: [signer.issuer], verify: () => Promise.reject() },
    })

  test('Hono refuses before the handler', async () => {
    const response = await withHono(mcp(), handler).request('/mcp', { method: 'POST' })
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringMatching(/^Bearer /),
    ])
  })

  test('Fastify refuses before the handler', async () => {
    const app = withFastify(mcp(), handler)
    const response = await app.inject({ method: 'POST', url: '/mcp' })
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/^Bearer /),
    ])
    await app.close()
  })
})

test('no handler finds the token: not in AuthInfo, not in a header, not in a clone', async () => {
  const session = testSession()
  const mcp = protectMcp({
    resource: served.url,
    registry: served.registry,
    verifier: { issuers: [signer.issuer], verify: async () => session },
  })
  const found: unknown[] = []
  const handler = createMcpHandler(({ authInfo, requestInfo }) => {
    found.push(authInfo, ...(requestInfo?.headers ?? []), ...(requestInfo?.clone().headers ?? []))
    return new McpServer({ name: 'test', version: '1.0.0' }, { capabilities: { tools: {} } })
  })
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: 'Bearer the-token',
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
  expect((await mcp.fetch(handler)(new Request(served.url, { method: 'POST', headers, body }))).status).toBe(200)
  expect(JSON.stringify(found)).toContain('[redacted]')
  expect(JSON.stringify(found)).not.toContain('the-token')
})

test('the Node form takes what Node hands over, under exactOptionalPropertyTypes', () => {
  const mcp = protectMcp({
    resource: served.url,
    registry: served.registry,
    verifier: { issuers: [signer.issuer], verify: () => Promise.reject() },
  })
  expectTypeOf<Parameters<ReturnType<typeof mcp.node>>>().toEqualTypeOf<
    [request: IncomingMessage, response: ServerResponse, body?: unknown]
  >()
})

test('what a handler throws stays inside, while who is refused is refused before dispatch', async () => {
  const token = await tokenFor(served.url, { sub: 'mallory' })
  await served.registry.block({ issuer: signer.issuer, subject: 'mallory' })
  expect(await call('whoami', {}, token)).toMatchObject({ status: 403, challenge: null })
  const machine = await call('whoami', {}, await tokenFor(served.url, { sub: 'mcp-client' }))
  expect(machine.status).toBe(200)
  expect(machine.text).toContain('"isError":true')
  expect(machine.text).toContain('"mcp-delegation/code":"ERR_DELEGATION_DENIED"')
})

test('a tool without inputSchema is told from one with it by the number of arguments', async () => {
  const session = testSession()
  const mcp = protectMcp({
    resource: served.url,
    registry: served.registry,
    verifier: { issuers: [signer.issuer], verify: async () => session },
  })
  const seen: unknown[] = []
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'test', version: '1.0.0' })
    const look = mcp.tool('look', async (args: unknown, { session: { subject } }) => {
      seen.push(args, subject)
      return { content: [] }
    })
    server.registerTool('without', {}, look)
    server.registerTool('with', { inputSchema: z.object({ a: z.number() }) }, look)
    return server
  })
  const serve = mcp.fetch(handler)
  for (const name of ['without', 'with']) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: { a: 1 } } })
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: 'Bearer x',
    }
    await (await serve(new Request(served.url, { method: 'POST', headers, body }))).text()
  }
  expect(seen).toEqual([{}, 'alice', { a: 1 }, 'alice'])
})

test('a missing scope is in the audit record of the tool, with everything that the challenge names', async () => {
  const before = served.tools.length
  await call('erase', { item: 'bolt' }, await tokenFor(served.url))
  expect(served.tools.slice(before)).toMatchObject([
    {
      tool: 'erase',
      outcome: 'denied',
      code: 'ERR_SESSION_SCOPE',
      subject: 'alice',
      reason: 'this tool needs the scopes mcp items:delete',
    },
  ])
})

test('what holds for SDK v2 holds for SDK v1: bound tokens, challenges, metadata', async () => {
  await using old = await startServer(onSdkV1, { idp: signer, protect: { requiredScopes: ['mcp'] } })
  const cnf = { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' }
  expect((await call('whoami', {}, await tokenFor(old.url, { cnf }), { url: old.url })).status).toBe(401)
  expect((await call('whoami', {}, undefined, { url: old.url })).challenge).not.toContain('error')
  const step = await call('erase', { item: 'bolt' }, await tokenFor(old.url), { url: old.url })
  expect([step.status, step.challenge]).toEqual([403, expect.stringContaining('scope="mcp items:delete"')])
  const transport = { 'mcp-session-id': crypto.randomUUID() }
  expect((await call('whoami', {}, await tokenFor(old.url), { url: old.url, headers: transport })).status).toBe(404)
})
