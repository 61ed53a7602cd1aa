import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  Credential,
  DelegationModule,
  DelegationRegistry,
  PasswordCredential,
  Session,
} from '@mcp-delegation/core'
import { protectMcp } from '@mcp-delegation/mcp'
import { protectFastMcp } from '@mcp-delegation/mcp/fastmcp'
import { protectMcp as protectMcpV1 } from '@mcp-delegation/mcp/v1'
import {
  McpServer as McpServerV1,
  ResourceTemplate as ResourceTemplateV1,
} from '@modelcontextprotocol/sdk/server/mcp.js'
import { createMcpHandler, McpServer, ResourceTemplate, type ServerContext } from '@modelcontextprotocol/server'
import { FastMCP } from 'fastmcp'
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'

declare const registry: DelegationRegistry<{
  billing: DelegationModule<{ readonly target: string }, PasswordCredential>
}>
declare const verifier: { readonly issuers: readonly string[]; verify(token: string): Promise<Session> }
const options = { resource: 'https://mcp.example/mcp', verifier, registry }
const inputSchema = z.object({ month: z.string() })

test('a tool of SDK v2 knows its arguments, its modules and its context', () => {
  const mcp = protectMcp(options)
  const server = new McpServer({ name: 'x', version: '1' })
  server.registerTool(
    'list',
    { inputSchema, scopeChallenge: mcp.scopes('list', 'read') },
    mcp.tool('list', async ({ month }, { delegate, session, signal, context }) => {
      expectTypeOf(month).toEqualTypeOf<string>()
      expectTypeOf(session).toEqualTypeOf<Session>()
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
      expectTypeOf(context).toEqualTypeOf<ServerContext>()
      expectTypeOf(await delegate('billing', { target: 'x' })).toEqualTypeOf<Credential<PasswordCredential>>()
      // @ts-expect-error unknown name
      await delegate('nope', {})
      // @ts-expect-error wrong request
      await delegate('billing', { host: 'x' })
      return { content: [] }
    }),
  )
  server.registerTool(
    'plain',
    {},
    mcp.tool('plain', async () => ({ content: [] })),
  )
  // @ts-expect-error not a result
  mcp.tool('text', async () => 'text')
})

test('both forms mount where they should, without a cast', () => {
  const mcp = protectMcp(options)
  const handler = createMcpHandler(() => new McpServer({ name: 'x', version: '1' }))
  expectTypeOf(mcp.fetch(handler)).toEqualTypeOf<(request: Request) => Promise<Response>>()
  expectTypeOf(mcp.node(handler)).toEqualTypeOf<
    (request: IncomingMessage, response: ServerResponse, body?: unknown) => Promise<void>
  >()
})

test('a tool of SDK v1 knows its arguments and its modules', () => {
  const mcp = protectMcpV1(options)
  const server = new McpServerV1({ name: 'x', version: '1' })
  server.registerTool(
    'list',
    { inputSchema: { month: z.string() } },
    mcp.tool('list', async ({ month }, { delegate }) => {
      expectTypeOf(month).toEqualTypeOf<string>()
      // @ts-expect-error unknown name
      await delegate('nope', {})
      return { content: [] }
    }),
  )
  server.registerTool(
    'plain',
    {},
    mcp.tool('plain', async () => ({ content: [] })),
  )
})

test('resources and prompts of SDK v2 know their arguments, and a guarded server is what it was', () => {
  const mcp = protectMcp(options)
  class Own extends McpServer {}
  const server = mcp.guard(new Own({ name: 'x', version: '1' }))
  expectTypeOf(server).toEqualTypeOf<Own>()
  const resource = mcp.resource('x', async (uri, { variables, delegate, context }) => {
    expectTypeOf(uri).toEqualTypeOf<URL>()
    expectTypeOf(variables).toEqualTypeOf<Record<string, string | string[]>>()
    expectTypeOf(context).toEqualTypeOf<ServerContext>()
    // @ts-expect-error unknown name
    await delegate('nope', {})
    return { contents: [] }
  })
  server.registerResource('x', 'x://y', {}, resource)
  server.registerResource('x', new ResourceTemplate('x://{y}', { list: undefined }), {}, resource)
  server.registerPrompt(
    'x',
    { argsSchema: inputSchema },
    mcp.prompt('x', async ({ month }) => {
      expectTypeOf(month).toEqualTypeOf<string>()
      return { messages: [] }
    }),
  )
  server.registerPrompt(
    'plain',
    {},
    mcp.prompt('plain', async () => ({ messages: [] })),
  )
  // @ts-expect-error not a server
  mcp.guard({})
})

test('resources and prompts of SDK v1 know their arguments', () => {
  const mcp = protectMcpV1(options)
  const server = mcp.guard(new McpServerV1({ name: 'x', version: '1' }))
  const resource = mcp.resource('x', async (_uri, { variables }) => {
    expectTypeOf(variables).toEqualTypeOf<Record<string, string | string[]>>()
    return { contents: [] }
  })
  server.registerResource('x', 'x://y', {}, resource)
  server.registerResource('x', new ResourceTemplateV1('x://{y}', { list: undefined }), {}, resource)
  server.registerPrompt(
    'x',
    { argsSchema: { month: z.string() } },
    mcp.prompt('x', async ({ month }) => {
      expectTypeOf(month).toEqualTypeOf<string>()
      return { messages: [] }
    }),
  )
})

test('what fastmcp loads fits its methods', () => {
  const mcp = protectFastMcp(options)
  const server = mcp.guard(new FastMCP<Session>({ name: 'x', version: '1.0.0', authenticate: mcp.authenticate }))
  server.addResource(
    mcp.resource('x', 'x://y', async ({ delegate }) => {
      // @ts-expect-error unknown name
      await delegate('nope', {})
      return { text: '' }
    }),
  )
  server.addResourceTemplate({
    arguments: [{ name: 'page' }],
    ...mcp.resourceTemplate('x', 'x://{page}', async ({ page }: { page: string }) => ({ text: page })),
  })
  server.addPrompt(mcp.prompt('x', async () => 'text'))
})

test('a tool of fastmcp fits addTool', () => {
  const mcp = protectFastMcp(options)
  const server = new FastMCP<Session>({ name: 'x', version: '1.0.0', authenticate: mcp.authenticate })
  server.addTool({
    parameters: inputSchema,
    ...mcp.tool('list', async ({ month }: z.infer<typeof inputSchema>, { delegate, context }) => {
      expectTypeOf(month).toEqualTypeOf<string>()
      expectTypeOf(context.session).toEqualTypeOf<Session | undefined>()
      await using login = await delegate('billing', { target: 'x' })
      return login.value.username
    }),
  })
})

test('options are checked', () => {
  // @ts-expect-error no verifier
  protectMcp({ resource: 'https://mcp.example/mcp', registry })
  protectMcp({ ...options, requiredScopes: undefined, log: undefined, stdio: undefined })
})
