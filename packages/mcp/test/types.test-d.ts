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
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { createMcpHandler, McpServer, type ServerContext } from '@modelcontextprotocol/server'
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
