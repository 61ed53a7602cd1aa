import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { testSession } from '@mcp-delegation/core/testing'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { protectMcp } from '../../src/v1/protect-mcp.ts'
import { tools } from '../clients.ts'
import { METADATA, type Modules, RESOURCE, verifierOf, world } from '../support.ts'
import { clientOf, type Incoming, listen, type Protected, post, stops } from './serving.ts'

function serverOf(register: (server: McpServer) => void): McpServer {
  const server = new McpServer({ name: 'test', version: '1.0.0' })
  register(server)
  return server
}

const whoami = (mcp: Protected) => (server: McpServer) => {
  server.registerTool(
    'whoami',
    { inputSchema: { greeting: z.string() } },
    mcp.tool('whoami', async ({ greeting }, { session, delegate }) => {
      await using name = await delegate('names', {})
      return { content: [{ type: 'text', text: `${greeting} ${session.subject} as ${name.value.name}` }] }
    }),
  )
  server.registerTool(
    'plain',
    {},
    mcp.tool('plain', async (args, { session, context }) => {
      const seen = JSON.stringify([args, context.authInfo, context.requestInfo])
      return {
        content: [
          { type: 'text', text: session.subject },
          { type: 'text', text: seen },
        ],
      }
    }),
  )
  server.registerTool(
    'broken',
    {},
    mcp.tool('broken', async () => {
      throw new Error('hunter2')
    }),
  )
  server.registerTool(
    'consent',
    {},
    mcp.tool('consent', async () => {
      throw new UrlElicitationRequiredError([
        { mode: 'url', message: 'm', url: 'https://x.example/', elicitationId: 'e' },
      ])
    }),
  )
}

/** A server and a transport for each request. */
const stateless =
  (register: (server: McpServer) => void) =>
  async (request: Incoming, response: ServerResponse): Promise<void> => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined as never })
    await serverOf(register).connect(transport as Transport)
    await transport.handleRequest(request, response, request.body)
  }

const calling = (name: string): object => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: {} },
})

describe('a tool', () => {
  test('sees each user as themselves and acts as them', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    const url = await listen(mcp, stateless(whoami(mcp)))
    for (const user of ['alice', 'bob']) {
      const client = await clientOf(url, user)
      expect((await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).content).toEqual([
        { type: 'text', text: `hello ${user} as ${user}` },
      ])
    }
    expect(tools(records)).toMatchObject([
      { outcome: 'ok', subject: 'alice', tool: 'whoami' },
      { outcome: 'ok', subject: 'bob' },
    ])
  })

  test('without inputSchema gets no arguments, and the token nowhere', async () => {
    const token = 'raw-token-of-alice'
    const mcp = protectMcp(world({ verifier: verifierOf({ [token]: testSession() }) }).options)
    const client = await clientOf(await listen(mcp, stateless(whoami(mcp))), token)
    const { content } = await client.callTool({ name: 'plain', arguments: { ignored: 1 } })
    expect(content).toMatchObject([{ text: 'alice' }, { text: expect.stringMatching(/^\[\{\},/) }])
    expect(JSON.stringify(content)).toContain('[redacted]')
    expect(JSON.stringify(content)).toContain('content-type')
    expect(JSON.stringify(content)).not.toContain(token)
  })

  test('that fails says so and no more, and one that asks for a page asks', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    const client = await clientOf(await listen(mcp, stateless(whoami(mcp))), 'alice')
    expect(await client.callTool({ name: 'broken' })).toMatchObject({
      isError: true,
      content: [{ text: 'tool failed' }],
    })
    await expect(client.callTool({ name: 'consent' })).rejects.toMatchObject({ code: -32042 })
    expect(tools(records).map(({ outcome }) => outcome)).toEqual(['failed', 'ok'])
  })

  test('is refused without the middleware, and on stdio runs as the user of the process', async () => {
    const { options } = world({ stdio: async () => testSession({ subject: 'operator' }) })
    const mcp = protectMcp(options)
    const open = { middleware: async (_request: unknown, _response: unknown, next: () => void) => next() }
    const url = await listen({ ...mcp, ...open }, stateless(whoami(mcp)))
    expect(await (await clientOf(url, 'alice')).callTool({ name: 'plain' })).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' },
    })
    const [near, far] = InMemoryTransport.createLinkedPair()
    await serverOf(whoami(mcp)).connect(far as Transport)
    const client = new Client({ name: 'test', version: '1.0.0' })
    await client.connect(near as Transport)
    expect((await client.callTool({ name: 'plain' })).content).toMatchObject([{ text: 'operator' }, {}])
  })
})

describe('the middleware', () => {
  test('serves the metadata and challenges', async () => {
    const mcp = protectMcp(world().options)
    const url = await listen(mcp, stateless(whoami(mcp)))
    const metadata = await fetch(new URL('/.well-known/oauth-protected-resource/mcp', url))
    expect(await metadata.json()).toMatchObject({ resource: RESOURCE })
    const refused = await fetch(url, { method: 'POST' })
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer resource_metadata="${METADATA}"`,
    ])
  })

  test('asks to step up before dispatch, with base scopes and the tool’s own, also in a batch', async () => {
    const session = testSession({ scopes: new Set(['mcp']) })
    const { options, records } = world({ requiredScopes: ['mcp'], verifier: verifierOf({ alice: session }) })
    const mcp = protectMcp(options)
    mcp.scopes('plain', 'items:read')
    const url = await listen(mcp, stateless(whoami(mcp)))
    const headers = { authorization: 'Bearer alice' }
    for (const body of [calling('plain'), [calling('whoami'), calling('plain')]]) {
      const refused = await post(url, headers, body)
      expect(refused.status).toBe(403)
      expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_scope"')
      expect(refused.headers.get('www-authenticate')).toContain('scope="mcp items:read"')
    }
    expect(tools(records)).toMatchObject([
      { tool: 'plain', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
      { tool: 'plain', outcome: 'denied' },
    ])
    for (const body of [{}, null, [], [null], 'x', calling('constructor')] as object[])
      expect((await post(url, headers, body)).status).not.toBe(500)
  })

  test('asks for the scopes of every tool of a batch at once', async () => {
    const session = testSession({ scopes: new Set(['mcp', 'items:count']) })
    const { options, records } = world({ requiredScopes: ['mcp'], verifier: verifierOf({ alice: session }) })
    const mcp = protectMcp(options)
    mcp.scopes('plain', 'items:read')
    mcp.scopes('whoami', 'items:count')
    mcp.scopes('broken', 'items:delete')
    const url = await listen(mcp, stateless(whoami(mcp)))
    const batch = ['plain', 'whoami', 'broken'].map(calling)
    const refused = await post(url, { authorization: 'Bearer alice' }, batch)
    expect(refused.status).toBe(403)
    expect(refused.headers.get('www-authenticate')).toContain('scope="mcp items:read items:delete"')
    expect(tools(records).map(({ tool }) => tool)).toEqual(['plain', 'broken'])
  })

  test('without a body parser the guard refuses what lacks a scope', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    mcp.scopes('plain', 'items:read')
    const http = createServer((request: Incoming, response) => {
      void mcp.middleware(request, response, () => void stateless(whoami(mcp))(request, response))
    }).listen(0, '127.0.0.1')
    await once(http, 'listening')
    stops.push(() => http.close().closeAllConnections())
    const client = await clientOf(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`, 'alice')
    expect(await client.callTool({ name: 'plain' })).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_SESSION_SCOPE', 'mcp-delegation/scopes': ['items:read'] },
    })
    expect(tools(records)).toMatchObject([{ outcome: 'denied', code: 'ERR_SESSION_SCOPE' }])
  })

  test('lets pages of an allowed origin read the answers', async () => {
    const origin = 'https://app.example'
    const mcp = protectMcp(world({ allowedOrigins: [origin] }).options)
    mcp.scopes('plain', 'items:read')
    const url = await listen(mcp, stateless(whoami(mcp)))
    for (const name of ['plain', 'broken']) {
      const response = await post(url, { authorization: 'Bearer alice', origin }, calling(name))
      expect(response.headers.get('access-control-allow-origin')).toBe(origin)
    }
  })

  test('answers 500 where something fails, and calls nobody', async () => {
    const origin = 'https://app.example'
    const { options, registry, log } = world({ allowedOrigins: [origin] })
    const { delegate, audit } = registry
    const decide = (): never => {
      throw new Error('hunter2')
    }
    const broken = { delegate, audit, decide, count: () => {}, standing: () => 'good' } as unknown as typeof registry
    const mcp = protectMcp({ ...options, registry: broken })
    const url = await listen(mcp, async (_request, response) => void response.end('called'))
    const response = await post(url, { authorization: 'Bearer alice', origin }, calling('plain'))
    expect(response.headers.get('access-control-allow-origin')).toBe(origin)
    expect([response.status, await response.text()]).toEqual([500, expect.not.stringMatching('hunter2|called')])
    expect(log.entries).toMatchObject([{ level: 'error', message: 'a request failed' }])
  })
})

describe('transport sessions', () => {
  async function sessionful(options: Parameters<typeof protectMcp<Modules>>[0]): Promise<string> {
    const mcp = protectMcp(options)
    const transports = new Map<string, StreamableHTTPServerTransport>()
    return listen(mcp, async (request, response) => {
      const known = transports.get(String(request.headers['mcp-session-id']))
      const transport =
        known ??
        new StreamableHTTPServerTransport({
          sessionIdGenerator: mcp.sessionIdGenerator(request.auth),
          onsessioninitialized: (id) => void transports.set(id, transport),
        })
      if (known === undefined) await serverOf(whoami(mcp)).connect(transport as Transport)
      await transport.handleRequest(request, response, request.body)
    })
  }

  test('belong to the user who began them: bob’s token with alice’s id is refused on every method', async () => {
    const { options, records } = world()
    const url = await sessionful(options)
    const alice = await clientOf(url, 'alice')
    expect((await alice.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).content).toMatchObject([
      { text: 'hello alice as alice' },
    ])
    const id = (alice.transport as StreamableHTTPClientTransport).sessionId ?? ''
    expect(id).not.toBe('')
    const stolen = { authorization: 'Bearer bob', 'mcp-session-id': id }
    expect((await post(url, stolen, calling('plain'))).status).toBe(404)
    for (const method of ['GET', 'DELETE'])
      expect((await fetch(url, { method, headers: { ...stolen, accept: 'text/event-stream' } })).status).toBe(404)
    expect(records.filter(({ event }) => event === 'authentication')).toMatchObject(
      Array.from({ length: 3 }, () => ({ subject: 'bob', code: 'ERR_SESSION_INVALID' })),
    )
    expect((await alice.callTool({ name: 'plain' })).isError).not.toBe(true)
  })

  test('with ids of anybody else’s making are nobody’s', async () => {
    const url = await sessionful(world().options)
    const headers = { authorization: 'Bearer alice', 'mcp-session-id': crypto.randomUUID() }
    expect((await post(url, headers, calling('plain'))).status).toBe(404)
  })
})
