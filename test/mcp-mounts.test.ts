import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { serve as serveHono } from '@hono/node-server'
import {
  type DelegationModule,
  DelegationRegistry,
  type PasswordCredential,
  type Session,
  secret,
} from '@mcp-delegation/core'
import { fakeModule, memoryAudit, testSession } from '@mcp-delegation/core/testing'
import { type ProtectOptions, protectMcp } from '@mcp-delegation/mcp'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMcpHandler, InMemoryTransport, type McpHttpHandler, McpServer } from '@modelcontextprotocol/server'
import { afterEach, describe, expect, test } from 'vitest'
import { withExpress, withExpressJson } from './mounts/express.ts'
import { withFastify } from './mounts/fastify.ts'
import { withFastMcp } from './mounts/fastmcp.ts'
import { withHono } from './mounts/hono.ts'
import { withNode } from './mounts/node.ts'
import { withSdkV1 } from './mounts/sdk-v1.ts'
import { serve } from './mounts/stdio.ts'

const loginOf = ({ subject }: Session): PasswordCredential => ({
  kind: 'password',
  username: subject,
  password: secret('x'),
})
const modules: { readonly billing: DelegationModule<{ readonly target: string }, PasswordCredential> } = {
  billing: fakeModule<PasswordCredential>(loginOf) as never,
}
type Modules = typeof modules

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

function optionsFor(resource: string): ProtectOptions<Modules> & { readonly registry: DelegationRegistry<Modules> } {
  const registry = new DelegationRegistry({ modules, audit: memoryAudit(), policy: 'backend-decides' })
  const session = testSession({ scopes: new Set(['billing:read']) })
  return { resource, registry, verifier: { issuers: ['https://idp.example'], verify: async () => session } }
}

async function originOf(server: Server): Promise<string> {
  if (!server.listening) await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

type Mount = (mcp: ReturnType<typeof protectMcp<Modules>>, handler: McpHttpHandler) => Promise<RequestListener>

const MOUNTS: Readonly<Record<string, Mount>> = {
  node: async (mcp, handler) => {
    const server = withNode(mcp, handler)
    return (request, response) => void server.emit('request', request, response)
  },
  express: async (mcp, handler) => withExpress(mcp, handler),
  'express with a body parser': async (mcp, handler) => withExpressJson(mcp, handler),
  fastify: async (mcp, handler) => {
    const app = withFastify(mcp, handler)
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
}

async function listen(listener: () => RequestListener): Promise<string> {
  const server = createServer((request, response) => listener()(request, response)).listen(0, '127.0.0.1')
  stops.push(() => server.close().closeAllConnections())
  return originOf(server)
}

const handlerOf = (mcp: ReturnType<typeof protectMcp<Modules>>): McpHttpHandler =>
  createMcpHandler(() => {
    const server = new McpServer({ name: 'test', version: '1.0.0' })
    server.registerTool(
      'balance',
      {},
      mcp.tool('balance', async (_args, { delegate, context }) => {
        if (context.http?.req?.headers.has('authorization') !== false) throw new Error('the token is there')
        await using login = await delegate('billing', { target: 'billing' })
        return { content: [{ type: 'text', text: `seen by ${login.value.username}` }] }
      }),
    )
    return server
  })

async function expectProtected(origin: string, args: Record<string, string>, seen: string): Promise<void> {
  const resource = `${origin}/mcp`
  const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`
  const refused = await fetch(resource, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
    401,
    `Bearer resource_metadata="${metadata}"`,
  ])
  for (const url of [metadata, `${origin}/.well-known/oauth-protected-resource`])
    expect(await (await fetch(url)).json()).toMatchObject({ resource, authorization_servers: ['https://idp.example'] })
  for (const options of [{}, { versionNegotiation: { mode: 'auto' as const } }]) {
    const client = new Client({ name: 'test', version: '1.0.0' }, options)
    const requestInit = { headers: { authorization: 'Bearer any' } }
    await client.connect(new StreamableHTTPClientTransport(new URL(resource), { requestInit }))
    stops.push(() => client.close())
    expect((await client.callTool({ name: 'balance', arguments: args })).content).toEqual([
      { type: 'text', text: seen },
    ])
  }
}

describe('the mount for', () => {
  test.each(Object.keys(MOUNTS))('%s', async (name) => {
    let listener: RequestListener = () => {}
    const origin = await listen(() => listener)
    const mcp = protectMcp(optionsFor(`${origin}/mcp`))
    listener = (await MOUNTS[name]?.(mcp, handlerOf(mcp))) ?? listener
    await expectProtected(origin, {}, 'seen by alice')
  })

  test('hono', async () => {
    let app: ReturnType<typeof withHono> | undefined
    const server = serveHono({
      fetch: (request) => app?.fetch(request) ?? new Response(null, { status: 503 }),
      port: 0,
      hostname: '127.0.0.1',
    }) as Server
    stops.push(() => server.close().closeAllConnections())
    const origin = await originOf(server)
    const mcp = protectMcp(optionsFor(`${origin}/mcp`))
    app = withHono(mcp, handlerOf(mcp))
    await expectProtected(origin, {}, 'seen by alice')
  })

  test('SDK v1', async () => {
    let listener: RequestListener = () => {}
    const origin = await listen(() => listener)
    listener = withSdkV1(optionsFor(`${origin}/mcp`))
    await expectProtected(origin, { account: '42' }, '42, seen by alice')
  })

  test('fastmcp', async () => {
    const probe = createServer().listen(0, '127.0.0.1')
    const origin = await originOf(probe)
    probe.close()
    await once(probe, 'close')
    const server = await withFastMcp(optionsFor(`${origin}/mcp`), Number(new URL(origin).port))
    stops.push(() => server.stop())
    await expectProtected(origin, { account: '42' }, '42, seen by alice')
  })

  test.each([
    ['2025-11-25', {}],
    ['2026-07-28', { versionNegotiation: { mode: 'auto' as const } }],
  ])('stdio, on %s', async (_, options) => {
    const [near, far] = InMemoryTransport.createLinkedPair()
    const handle = serve(optionsFor('https://mcp.example/mcp'), { transport: far })
    const client = new Client({ name: 'test', version: '1.0.0' }, options)
    await client.connect(near)
    expect((await client.callTool({ name: 'login' })).content).toEqual([{ type: 'text', text: userInfo().username }])
    await client.close()
    await handle.close()
  })
})
