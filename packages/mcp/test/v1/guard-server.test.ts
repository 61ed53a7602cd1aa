import { permissions, type Session } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import { completable } from '@modelcontextprotocol/sdk/server/completable.js'
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CallToolRequestSchema,
  ErrorCode,
  ListToolsRequestSchema,
  McpError,
  SubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { protectMcp } from '../../src/v1/protect-mcp.ts'
import { uses } from '../clients.ts'
import { policyOf } from '../policies.ts'
import { verifierOf, world } from '../support.ts'
import { clientOf, listen, type Protected, post, stops } from './serving.ts'

const said = (text: string) => ({ messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }] })
const read = (uri: URL, text: string) => ({ contents: [{ uri: uri.href, text }] })
const DENIED = { code: -32602, data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' } }
const ran = vi.fn()
afterEach(() => ran.mockClear())

/** A server with some of everything that the SDK has ways to register. */
function register(mcp: Protected, server: McpServer): McpServer {
  for (const name of ['stock', 'erase'])
    server.registerTool(
      name,
      { inputSchema: { item: z.string() } },
      mcp.tool(name, async ({ item }, { session }) => ({
        content: [{ type: 'text', text: `${item} ${session.subject}` }],
      })),
    )
  server.tool('drop', async () => {
    ran('drop')
    return { content: [] }
  })
  server.registerResource(
    'readme',
    'config://readme',
    {},
    mcp.resource('readme', async (uri, { session }) => read(uri, session.subject)),
  )
  server.resource('secrets', 'config://secrets', async (uri) => {
    ran('secrets')
    return read(uri, 'hunter2')
  })
  for (const name of ['invoices', 'payroll']) {
    const list = () => ({ resources: [{ uri: `${name}://1`, name: 'page' }] })
    server.registerResource(
      name,
      new ResourceTemplate(`${name}://{page}`, { list, complete: { page: () => [name] } }),
      {},
      mcp.resource(name, async (uri, { variables }) => read(uri, String(variables['page']))),
    )
  }
  const argsSchema = { whom: completable(z.string(), () => ['carol']) }
  for (const name of ['greet', 'fire'])
    server.registerPrompt(
      name,
      { argsSchema },
      mcp.prompt(name, async ({ whom }, { session }) => said(`${whom} by ${session.subject}`)),
    )
  server.registerPrompt(
    'plain',
    {},
    mcp.prompt('plain', async (args) => said(JSON.stringify(args))),
  )
  server.prompt('dismiss', async () => {
    ran('dismiss')
    return said('dismissed')
  })
  return server
}

const OPEN = ['stock', 'readme', 'invoices', 'greet', 'plain']
const LISTED_TO_BOB = {
  tools: ['stock'],
  resources: ['config://readme', 'invoices://1'],
  templates: ['invoices'],
  prompts: ['greet', 'plain'],
}
const LISTED_TO_ALICE = {
  tools: ['stock', 'erase', 'drop'],
  resources: ['config://readme', 'config://secrets', 'invoices://1', 'payroll://1'],
  templates: ['invoices', 'payroll'],
  prompts: ['greet', 'fire', 'plain', 'dismiss'],
}

async function listsOf(client: Client): Promise<Record<string, string[]>> {
  return {
    tools: (await client.listTools()).tools.map(({ name }) => name),
    resources: (await client.listResources()).resources.map(({ uri }) => uri),
    templates: (await client.listResourceTemplates()).resourceTemplates.map(({ name }) => name),
    prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
  }
}

const newServer = (): McpServer => new McpServer({ name: 'test', version: '1.0.0' })

/** A server for each request, or for each transport session. */
async function serving(
  kind: 'stateless' | 'sessions',
  options: Parameters<typeof world>[0] = {},
  policy = policyOf(OPEN),
) {
  const made = world(options, { policy })
  const mcp = protectMcp(made.options)
  const transports = new Map<string, StreamableHTTPServerTransport>()
  const url = await listen(mcp, async (request, response) => {
    const known = transports.get(String(request.headers['mcp-session-id']))
    const transport =
      known ??
      new StreamableHTTPServerTransport(
        kind === 'stateless'
          ? {}
          : {
              sessionIdGenerator: mcp.sessionIdGenerator(request.auth),
              onsessioninitialized: (id) => void transports.set(id, transport),
            },
      )
    if (known === undefined) await register(mcp, mcp.guard(newServer())).connect(transport as Transport)
    await transport.handleRequest(request, response, request.body)
  })
  return { ...made, mcp, url }
}

describe.each(['stateless', 'sessions'] as const)('a guarded server, %s,', (kind) => {
  test('lists to each caller what they may use', async () => {
    const { url, records } = await serving(kind)
    const [alice, bob] = [await clientOf(url, 'alice'), await clientOf(url, 'bob')]
    for (let round = 0; round < 2; round++) {
      expect(await listsOf(bob)).toEqual(LISTED_TO_BOB)
      expect(await listsOf(alice)).toEqual(LISTED_TO_ALICE)
    }
    expect(records).toEqual([])
  })

  test('serves and refuses with one record each', async () => {
    const { url, records } = await serving(kind)
    const bob = await clientOf(url, 'bob')
    expect(await bob.callTool({ name: 'stock', arguments: { item: 'bolt' } })).toMatchObject({
      content: [{ text: 'bolt bob' }],
    })
    for (const [name, args] of [
      ['erase', { wrong: 1 }],
      ['drop', {}],
    ] as const)
      expect(await bob.callTool({ name, arguments: args })).toMatchObject({
        isError: true,
        content: [{ text: 'the policy refused: this needs the level POWER_OPS' }],
        _meta: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' },
      })
    expect((await bob.readResource({ uri: 'config://readme' })).contents).toMatchObject([{ text: 'bob' }])
    expect((await bob.readResource({ uri: 'invoices://7' })).contents).toMatchObject([{ text: '7' }])
    for (const uri of ['config://secrets', 'payroll://1', 'config://nobody'])
      await expect(bob.readResource({ uri })).rejects.toMatchObject(DENIED)
    expect((await bob.getPrompt({ name: 'greet', arguments: { whom: 'carol' } })).messages).toMatchObject([
      { content: { text: 'carol by bob' } },
    ])
    expect((await bob.getPrompt({ name: 'plain' })).messages).toMatchObject([{ content: { text: '{}' } }])
    for (const name of ['fire', 'dismiss']) await expect(bob.getPrompt({ name })).rejects.toMatchObject(DENIED)
    expect(ran).not.toHaveBeenCalled()
    expect(uses(records)).toMatchObject([
      { tool: 'stock', outcome: 'ok' },
      { tool: 'erase', outcome: 'denied' },
      { tool: 'drop', outcome: 'denied' },
      { resource: 'readme', uri: 'config://readme', outcome: 'ok', subject: 'bob' },
      { resource: 'invoices', uri: 'invoices://7', outcome: 'ok' },
      { resource: 'secrets', uri: 'config://secrets', outcome: 'denied' },
      { resource: 'payroll', uri: 'payroll://1', outcome: 'denied' },
      { resource: 'config://nobody', outcome: 'denied' },
      { prompt: 'greet', outcome: 'ok' },
      { prompt: 'plain', outcome: 'ok' },
      { prompt: 'fire', outcome: 'denied' },
      { prompt: 'dismiss', outcome: 'denied' },
    ])
  })

  test('completes arguments of what the caller may use, and of nothing else', async () => {
    const { url, records } = await serving(kind)
    const bob = await clientOf(url, 'bob')
    const prompt = (name: string) =>
      bob.complete({ ref: { type: 'ref/prompt', name }, argument: { name: 'whom', value: '' } })
    const template = (name: string) =>
      bob.complete({ ref: { type: 'ref/resource', uri: `${name}://{page}` }, argument: { name: 'page', value: '' } })
    expect((await prompt('greet')).completion.values).toEqual(['carol'])
    expect((await template('invoices')).completion.values).toEqual(['invoices'])
    await expect(prompt('fire')).rejects.toMatchObject(DENIED)
    await expect(template('payroll')).rejects.toMatchObject(DENIED)
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(['denied', 'denied'])
  })

  test('asks for the scopes of a prompt with a challenge, and names those of a resource in its error', async () => {
    const { url, records } = await serving(kind, {}, policyOf(OPEN, ['greet', 'readme']))
    const bob = await clientOf(url, 'bob')
    expect((await listsOf(bob))['prompts']).toContain('greet')
    const asked = { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'greet' } }
    const challenged = await post(url, { authorization: 'Bearer bob' }, asked)
    expect([challenged.status, challenged.headers.get('www-authenticate')]).toEqual([
      403,
      expect.stringContaining('scope="more"'),
    ])
    await expect(bob.readResource({ uri: 'config://readme' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('this resource needs the scopes more'),
      data: { 'mcp-delegation/code': 'ERR_SESSION_SCOPE', 'mcp-delegation/scopes': ['more'] },
    })
    expect(uses(records)).toMatchObject([
      { prompt: 'greet', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
      { resource: 'readme', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
    ])
  })
})

test('one transport session sees the rights of each request’s token', async () => {
  const policy = permissions({
    levels: ['READ_ONLY', 'FULL'],
    issuers: [{ issuer: 'https://idp.example', groups: { readers: 'READ_ONLY', admins: 'FULL' } }],
    tools: { stock: 'READ_ONLY', erase: 'FULL', drop: 'FULL' },
  })
  const carol = (group: string): Session => testSession({ subject: 'carol', groups: new Set([group]) })
  const verifier = verifierOf({ before: carol('readers'), after: carol('admins') })
  const { url } = await serving('sessions', { verifier }, policy)
  let token = 'before'
  const client = await clientOf(url, () => token)
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['stock'])
  token = 'after'
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['stock', 'erase', 'drop'])
  token = 'before'
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['stock'])
  expect(await client.callTool({ name: 'erase', arguments: { item: 'x' } })).toMatchObject({ isError: true })
})

test('counts a call once, when it is about to run', async () => {
  const limit = vi.fn(() => undefined)
  const { url } = await serving('stateless', {}, { ...policyOf(OPEN), limit })
  const bob = await clientOf(url, 'bob')
  await listsOf(bob)
  await bob.callTool({ name: 'drop' })
  expect(limit).not.toHaveBeenCalled()
  await bob.callTool({ name: 'stock', arguments: { item: 'x' } })
  expect(limit).toHaveBeenCalledTimes(1)
})

describe('a server on a pipe', () => {
  async function piped(begin: (mcp: Protected, server: McpServer) => void, subject = 'bob') {
    const made = world({ stdio: async () => testSession({ subject }) }, { policy: policyOf(OPEN) })
    const mcp = protectMcp(made.options)
    const server = mcp.guard(newServer())
    begin(mcp, server)
    const [near, far] = InMemoryTransport.createLinkedPair()
    await server.connect(far as Transport)
    const client = new Client({ name: 'test', version: '1.0.0' })
    await client.connect(near as Transport)
    stops.push(() => void client.close())
    return { ...made, client, server }
  }

  test('lists what the user of the process may use, and says that something was added, not what', async () => {
    const { client, server } = await piped(register)
    expect(await listsOf(client)).toEqual(LISTED_TO_BOB)
    const told: unknown[] = []
    client.fallbackNotificationHandler = async (notification) => void told.push(notification)
    server.registerTool('hidden', {}, async () => ({ content: [] }))
    await vi.waitFor(() => expect(told).toHaveLength(1))
    expect(JSON.stringify(told)).toContain('list_changed')
    expect(JSON.stringify(told)).not.toContain('hidden')
    expect(await listsOf(client)).toEqual(LISTED_TO_BOB)
  })

  test('is guarded where its author handles requests themselves', async () => {
    const handled = vi.fn(async () => ({ content: [{ type: 'text' as const, text: 'low' }] }))
    const subscribed = vi.fn(() => ({}))
    const { client, records } = await piped((_mcp, { server }) => {
      server.registerCapabilities({ tools: {}, resources: { subscribe: true } })
      const tool = (name: string) => ({ name, inputSchema: { type: 'object' as const } })
      server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: ['stock', 'erase'].map(tool) }))
      server.setRequestHandler(CallToolRequestSchema, handled)
      server.setRequestHandler(SubscribeRequestSchema, subscribed)
    })
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['stock'])
    expect(await client.callTool({ name: 'erase' })).toMatchObject({ isError: true })
    expect(await client.callTool({ name: 'stock' })).toMatchObject({ content: [{ text: 'low' }] })
    await expect(client.subscribeResource({ uri: 'x://y' })).rejects.toMatchObject(DENIED)
    expect([handled.mock.calls.length, subscribed.mock.calls.length]).toEqual([1, 0])
    expect(uses(records)).toMatchObject([
      { tool: 'erase', outcome: 'denied' },
      { tool: 'stock', outcome: 'ok' },
      { resource: 'x://y', outcome: 'denied' },
    ])
  })

  test('is guarded where its author handles whatever has no handler', async () => {
    const fallback = vi.fn(async () => ({ content: [] }))
    const { client } = await piped((_mcp, { server }) => {
      server.registerCapabilities({ tools: {} })
      server.fallbackRequestHandler = fallback
    })
    expect(await client.callTool({ name: 'erase' })).toMatchObject({ isError: true })
    expect(fallback).not.toHaveBeenCalled()
    await client.callTool({ name: 'stock' })
    expect(fallback).toHaveBeenCalledTimes(1)
  })

  test('shows no error of a tool as it is, whichever way the tool was made', async () => {
    const fail = async (): Promise<never> => {
      throw new Error('hunter2')
    }
    const { client, records } = await piped((mcp, server) => {
      server.registerTool('stock', {}, mcp.tool('stock', fail))
      server.registerTool('raw', { inputSchema: { n: z.number() } }, fail)
      server.tool('drop', fail)
      server.tool('later', async () => ({ content: [] })).update({ callback: fail })
    }, 'alice')
    for (const name of ['stock', 'raw', 'drop', 'later'])
      expect(await client.callTool({ name, arguments: { n: 1 } })).toMatchObject({
        isError: true,
        content: [{ text: 'tool failed' }],
      })
    expect(await client.callTool({ name: 'raw', arguments: { n: 'x' } })).toMatchObject({ isError: true })
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(Array(5).fill('failed'))
  })

  test('shows no error as it is, but the answers of its author', async () => {
    const answer = new McpError(ErrorCode.InvalidParams, 'no such page')
    const failing = (error: Error) => async (): Promise<never> => {
      throw error
    }
    const { client, records } = await piped((mcp, server) => {
      server.registerResource('readme', 'config://readme', {}, failing(new Error('hunter2')))
      server.registerResource('missing', 'config://missing', {}, mcp.resource('missing', failing(answer)))
      server.registerPrompt('greet', {}, mcp.prompt('greet', failing(new Error('hunter2'))))
    }, 'alice')
    for (const failed of [
      () => client.readResource({ uri: 'config://readme' }),
      () => client.getPrompt({ name: 'greet' }),
    ])
      await expect(failed()).rejects.toMatchObject({ code: -32603, message: expect.not.stringContaining('hunter2') })
    await expect(client.readResource({ uri: 'config://missing' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('no such page'),
    })
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed'])
  })
})

test('a server that has something registered is guarded too late, and one that is guarded stays as it is', () => {
  const mcp = protectMcp(world().options)
  const server = newServer()
  expect(mcp.guard(mcp.guard(server))).toBe(server)
  const late = newServer()
  late.registerTool('x', {}, async () => ({ content: [] }))
  expect(() => mcp.guard(late)).toThrow('"server" must be new')
  expect(() => protectMcp(world().options).guard(server)).toThrow('"server" must not be under another guard')
})

test('a server whose tasks are not those of their users alone can’t be guarded', () => {
  const capabilities = { tasks: { list: {}, requests: { tools: { call: {} } } } }
  const server = new McpServer({ name: 'test', version: '1.0.0' }, { capabilities, taskStore: new InMemoryTaskStore() })
  expect(() => protectMcp(world().options).guard(server)).toThrow(
    new TypeError('"server" must have no "taskStore": its tasks are not those of their users alone'),
  )
})
