import { permissions } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { Client } from '@modelcontextprotocol/client'
import {
  completable,
  InMemoryTransport,
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
} from '@modelcontextprotocol/server'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { protectMcp } from '../src/protect-mcp.ts'
import { clientOf, ERAS, type Fetch, type Protected, serverOf, uses } from './clients.ts'
import { policyOf } from './policies.ts'
import { verifierOf, world } from './support.ts'

const OPEN = ['stock', 'raw', 'readme', 'invoices', 'greet', 'plain']
const SCOPED = ['boost', 'archive', 'draft']
const NAMES = {
  tools: ['stock', 'erase', 'raw', 'drop', 'boost'],
  prompts: ['greet', 'fire', 'plain', 'dismiss', 'draft'],
}
const text = (uri: URL, answer: string) => ({ contents: [{ uri: uri.href, text: answer }] })
const said = (answer: string) => ({
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: answer } }],
})

/** What ran without a guard of its own. */
const ran = vi.fn()
afterEach(() => ran.mockClear())

/** A server with one of everything, some of it made with `mcp` and some of it not. */
function register(mcp: Protected, server: McpServer): void {
  for (const name of ['stock', 'erase', 'boost'])
    server.registerTool(
      name,
      { inputSchema: z.object({ item: z.string() }) },
      mcp.tool(name, async ({ item }, { session }) => ({
        content: [{ type: 'text', text: `${item} ${session.subject}` }],
      })),
    )
  for (const name of ['raw', 'drop'])
    server.registerTool(name, {}, async () => {
      ran(name)
      return { content: [{ type: 'text', text: name }] }
    })

  server.registerResource(
    'readme',
    'config://readme',
    {},
    mcp.resource('readme', async (uri, { delegate, session }) => {
      await using name = await delegate('names', {})
      return text(uri, `${session.subject} as ${name.value.name}`)
    }),
  )
  server.registerResource('secrets', 'config://secrets', {}, async (uri) => {
    ran('secrets')
    return text(uri, 'hunter2')
  })
  const archive = mcp.resource('archive', async (uri) => text(uri, 'old'))
  server.registerResource('archive', 'config://archive', {}, archive)
  for (const name of ['invoices', 'payroll']) {
    const list = () => ({ resources: [1, 2].map((n) => ({ uri: `${name}://${n}`, name: 'page' })) })
    const complete = { page: () => [`${name} 1`] }
    const read = mcp.resource(name, async (uri, { variables }) => text(uri, String(variables['page'])))
    server.registerResource(name, new ResourceTemplate(`${name}://{page}`, { list, complete }), {}, read)
  }

  const argsSchema = z.object({ whom: completable(z.string(), () => ['bob', 'carol']) })
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
  server.registerPrompt('dismiss', { argsSchema }, async () => {
    ran('dismiss')
    return said('dismissed')
  })
  server.registerPrompt(
    'draft',
    {},
    mcp.prompt('draft', async () => said('draft')),
  )
}

const guarded = (mcp: Protected) => (server: McpServer) => register(mcp, mcp.guard(server))

function serving(options: Parameters<typeof world>[0] = {}, more: Parameters<typeof world>[1] = {}) {
  const made = world(options, { policy: policyOf(OPEN, SCOPED), ...more })
  const mcp = protectMcp(made.options)
  return { ...made, mcp, serve: mcp.fetch(serverOf(guarded(mcp))) }
}

async function listsOf(client: Client): Promise<Record<string, string[]>> {
  return {
    tools: (await client.listTools()).tools.map(({ name }) => name),
    resources: (await client.listResources()).resources.map(({ uri }) => uri),
    templates: (await client.listResourceTemplates()).resourceTemplates.map(({ name }) => name),
    prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
  }
}

const LISTED_TO_BOB = {
  tools: ['stock', 'boost', 'raw'],
  resources: ['config://readme', 'config://archive', 'invoices://1', 'invoices://2'],
  templates: ['invoices'],
  prompts: ['greet', 'plain', 'draft'],
}

describe.each(ERAS)('a guarded server on %s', (era) => {
  test('lists to each caller what they may use, or could with more scopes', async () => {
    const { serve, records } = serving()
    expect(await listsOf(await clientOf(serve, 'bob', era))).toEqual(LISTED_TO_BOB)
    const all = await listsOf(await clientOf(serve, 'alice', era))
    expect({ tools: all['tools']?.sort(), prompts: all['prompts'] }).toEqual({
      tools: NAMES.tools.sort(),
      prompts: NAMES.prompts,
    })
    expect(all['templates']).toEqual(['invoices', 'payroll'])
    expect(all['resources']).toHaveLength(7)
    expect(records).toEqual([])
  })

  test('refuses a tool before its arguments are looked at, in words that a model understands', async () => {
    const { serve, records } = serving({ auditedArguments: { erase: ['item'] } })
    const bob = await clientOf(serve, 'bob', era)
    for (const args of [{ item: 'bolt' }, { wrong: 1 }])
      expect(await bob.callTool({ name: 'erase', arguments: args })).toEqual(
        expect.objectContaining({
          isError: true,
          content: [{ type: 'text', text: 'the policy refused: this needs the level POWER_OPS' }],
          _meta: expect.objectContaining({ 'mcp-delegation/code': 'ERR_TOOL_DENIED' }),
        }),
      )
    const denied = {
      ...{ event: 'tool', tool: 'erase', outcome: 'denied', code: 'ERR_TOOL_DENIED' },
      reason: 'the policy refused: this needs the level POWER_OPS',
    }
    expect(uses(records)).toMatchObject([
      { ...denied, subject: 'bob', arguments: { item: 'bolt' } },
      { ...denied, arguments: {} },
    ])
  })

  test('runs what has no guard of its own under one, and a name that nobody registered with it', async () => {
    const { serve, records } = serving()
    const bob = await clientOf(serve, 'bob', era)
    expect(await bob.callTool({ name: 'raw' })).toMatchObject({ content: [{ text: 'raw' }] })
    for (const name of ['drop', 'nobody']) expect(await bob.callTool({ name })).toMatchObject({ isError: true })
    await expect(bob.readResource({ uri: 'config://secrets' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('the policy refused: this needs the level POWER_OPS'),
      data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' },
    })
    await expect(bob.readResource({ uri: 'config://nobody' })).rejects.toMatchObject({
      data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' },
    })
    await expect(bob.getPrompt({ name: 'dismiss', arguments: {} })).rejects.toMatchObject({
      data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' },
    })
    expect(ran.mock.calls).toEqual([['raw']])
    expect(uses(records)).toMatchObject([
      { event: 'tool', tool: 'raw', outcome: 'ok' },
      { event: 'tool', tool: 'drop', outcome: 'denied' },
      { event: 'tool', tool: 'nobody', outcome: 'denied' },
      { event: 'resource', resource: 'secrets', uri: 'config://secrets', outcome: 'denied' },
      { event: 'resource', resource: 'config://nobody', uri: 'config://nobody', outcome: 'denied' },
      { event: 'prompt', prompt: 'dismiss', outcome: 'denied' },
    ])
  })

  test('serves resources and prompts as their callers, with one record each', async () => {
    const { serve, records } = serving({ auditedArguments: { greet: ['whom'] } })
    const bob = await clientOf(serve, 'bob', era)
    expect((await bob.readResource({ uri: 'config://readme' })).contents).toMatchObject([{ text: 'bob as bob' }])
    expect((await bob.readResource({ uri: 'invoices://7' })).contents).toMatchObject([{ text: '7' }])
    expect((await bob.getPrompt({ name: 'greet', arguments: { whom: 'carol' } })).messages).toMatchObject([
      { content: { text: 'carol by bob' } },
    ])
    expect((await bob.getPrompt({ name: 'plain' })).messages).toMatchObject([{ content: { text: '{}' } }])
    const alice = await clientOf(serve, 'alice', era)
    expect((await alice.readResource({ uri: 'config://secrets' })).contents).toMatchObject([{ text: 'hunter2' }])
    expect(uses(records)).toMatchObject([
      { event: 'resource', resource: 'readme', uri: 'config://readme', outcome: 'ok', subject: 'bob', groups: [] },
      { event: 'resource', resource: 'invoices', uri: 'invoices://7', outcome: 'ok' },
      { event: 'prompt', prompt: 'greet', outcome: 'ok', arguments: { whom: 'carol' } },
      { event: 'prompt', prompt: 'plain', outcome: 'ok', arguments: {} },
      { event: 'resource', resource: 'secrets', outcome: 'ok', subject: 'alice' },
    ])
    expect(records.find(({ event }) => event === 'delegation')).toMatchObject({ tool: undefined, subject: 'bob' })
  })

  test('refuses resources and prompts that have a guard of their own once', async () => {
    const { serve, records } = serving()
    const bob = await clientOf(serve, 'bob', era)
    const refused = { data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' } }
    await expect(bob.readResource({ uri: 'payroll://1' })).rejects.toMatchObject(refused)
    await expect(bob.getPrompt({ name: 'fire', arguments: { whom: 'carol' } })).rejects.toMatchObject(refused)
    expect(uses(records)).toMatchObject([
      { event: 'resource', resource: 'payroll', uri: 'payroll://1', outcome: 'denied', code: 'ERR_TOOL_DENIED' },
      { event: 'prompt', prompt: 'fire', outcome: 'denied', code: 'ERR_TOOL_DENIED' },
    ])
  })

  test('asks for scopes with a challenge, whatever it is that needs them', async () => {
    const session = testSession({ subject: 'carol', scopes: new Set(['mcp']) })
    const verifier = verifierOf({
      carol: session,
      dave: testSession({ subject: 'dave', scopes: new Set(['more', 'mcp']) }),
    })
    const { serve, records } = serving({ requiredScopes: ['mcp'], verifier })
    const carol = await clientOf(serve, 'carol', era)
    const needed = { requiredScope: 'mcp more' }
    await expect(carol.callTool({ name: 'boost', arguments: { item: 'x' } })).rejects.toMatchObject(needed)
    await expect(carol.readResource({ uri: 'config://archive' })).rejects.toMatchObject(needed)
    await expect(carol.getPrompt({ name: 'draft' })).rejects.toMatchObject(needed)
    expect(uses(records)).toMatchObject([
      { event: 'tool', tool: 'boost', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
      { event: 'resource', resource: 'archive', uri: 'config://archive', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
      { event: 'prompt', prompt: 'draft', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
    ])
    const dave = await clientOf(serve, 'dave', era)
    expect((await dave.readResource({ uri: 'config://archive' })).contents).toMatchObject([{ text: 'old' }])
  })

  test('completes arguments of what the caller may use, and of nothing else', async () => {
    const { serve, records } = serving()
    const bob = await clientOf(serve, 'bob', era)
    const prompt = (name: string) =>
      bob.complete({ ref: { type: 'ref/prompt', name }, argument: { name: 'whom', value: '' } })
    const template = (name: string) =>
      bob.complete({ ref: { type: 'ref/resource', uri: `${name}://{page}` }, argument: { name: 'page', value: '' } })
    expect((await prompt('greet')).completion.values).toEqual(['bob', 'carol'])
    expect((await template('invoices')).completion.values).toEqual(['invoices 1'])
    for (const refused of [() => prompt('fire'), () => prompt('dismiss'), () => template('payroll')])
      await expect(refused()).rejects.toMatchObject({ data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' } })
    expect(uses(records)).toMatchObject([
      { event: 'prompt', prompt: 'fire', outcome: 'denied' },
      { event: 'prompt', prompt: 'dismiss', outcome: 'denied' },
      { event: 'resource', resource: 'payroll', uri: 'payroll://{page}', outcome: 'denied' },
    ])
  })

  test('shows no error as it is, but the answers of its author', async () => {
    const { mcp, log, records } = serving()
    const fail = async (): Promise<never> => {
      throw new Error('connect to db://admin:hunter2@10.0.0.7 failed')
    }
    const missing = async (uri: URL): Promise<never> => {
      throw new ResourceNotFoundError(uri.href)
    }
    const serve = mcp.fetch(
      serverOf((server) => {
        mcp.guard(server)
        server.registerResource('readme', 'config://readme', {}, mcp.resource('readme', fail))
        server.registerResource('secrets', 'config://secrets', {}, fail)
        server.registerResource('archive', 'config://archive', {}, mcp.resource('invoices', missing))
        server.registerResource('listed', new ResourceTemplate('x://{y}', { list: fail }), {}, fail)
        server.registerPrompt('greet', {}, mcp.prompt('greet', fail))
      }),
    )
    const alice = await clientOf(serve, 'alice', era)
    const failed = [
      alice.readResource({ uri: 'config://readme' }),
      alice.readResource({ uri: 'config://secrets' }),
      alice.getPrompt({ name: 'greet' }),
      alice.listResources(),
    ].map((answer) => answer.catch((error: { code: number; message: string }) => error))
    for (const error of await Promise.all(failed)) {
      expect(error).toMatchObject({ code: -32603, message: expect.stringContaining('failed') })
      expect(JSON.stringify(error) + String(error)).not.toContain('hunter2')
    }
    expect(log.entries.filter(({ level }) => level === 'error')).toHaveLength(4)
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed'])
  })

  test('shows no error of a tool as it is, whichever way the tool was made', async () => {
    const { mcp, log, records } = serving()
    const fail = async (): Promise<never> => {
      throw new Error('connect to db://admin:hunter2@10.0.0.7 failed')
    }
    const fine = async () => ({ content: [] })
    const serve = mcp.fetch(
      serverOf((server) => {
        mcp.guard(server)
        server.registerTool('stock', {}, mcp.tool('stock', fail))
        server.registerTool('raw', {}, fail)
        server.registerTool('drop', {}, mcp.tool('drop', fine)).update({ callback: fail })
      }),
    )
    const alice = await clientOf(serve, 'alice', era)
    for (const name of ['stock', 'raw', 'drop'])
      expect(await alice.callTool({ name })).toMatchObject({ isError: true, content: [{ text: 'tool failed' }] })
    expect(log.entries.filter(({ level }) => level === 'error')).toHaveLength(3)
    expect(uses(records)).toMatchObject(['stock', 'raw', 'drop'].map((tool) => ({ tool, outcome: 'failed' })))
  })

  test('guards what another server has under a name with a guard of its own', async () => {
    const limit = vi.fn(() => undefined)
    const { mcp, records } = serving({}, { policy: { ...policyOf(OPEN, SCOPED), limit } })
    register(mcp, new McpServer({ name: 'other', version: '1' }))
    const serve = mcp.fetch(
      serverOf((server) => {
        mcp.guard(server)
        server.registerTool('stock', {}, async () => ({ content: [] }))
        server.registerResource('readme', 'config://readme', {}, async (uri) => text(uri, 'x'))
        server.registerPrompt('greet', {}, async () => said('x'))
      }),
    )
    const bob = await clientOf(serve, 'bob', era)
    await bob.callTool({ name: 'stock' })
    await bob.readResource({ uri: 'config://readme' })
    await bob.getPrompt({ name: 'greet' })
    expect(limit).toHaveBeenCalledTimes(3)
    expect(uses(records).map(({ event, outcome }) => [event, outcome])).toEqual([
      ['tool', 'ok'],
      ['resource', 'ok'],
      ['prompt', 'ok'],
    ])
  })

  test('knows a tool and a prompt by their latest names', async () => {
    const { mcp, records } = serving()
    const serve = mcp.fetch(
      serverOf((server) => {
        mcp.guard(server)
        server.registerTool('erase', {}, async () => ({ content: [] })).update({ name: 'stock' })
        server.registerPrompt('fire', {}, async () => said('x')).update({ name: 'greet' })
      }),
    )
    const bob = await clientOf(serve, 'bob', era)
    expect(await bob.callTool({ name: 'stock' })).not.toHaveProperty('isError')
    await bob.getPrompt({ name: 'greet' })
    expect(uses(records)).toMatchObject([
      { tool: 'stock', outcome: 'ok' },
      { prompt: 'greet', outcome: 'ok' },
    ])
  })

  test('counts and records a call whose arguments the server refuses', async () => {
    const limit = vi.fn(() => undefined)
    const { serve, records } = serving({}, { policy: { ...policyOf(OPEN, SCOPED), limit } })
    const bob = await clientOf(serve, 'bob', era)
    const refused = await bob.callTool({ name: 'stock', arguments: { item: 7 } })
    expect(refused).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('item') }] })
    await expect(bob.getPrompt({ name: 'greet', arguments: {} })).rejects.toMatchObject({ code: -32602 })
    expect(limit).toHaveBeenCalledTimes(2)
    expect(uses(records)).toMatchObject([
      { event: 'tool', tool: 'stock', outcome: 'failed', subject: 'bob' },
      { event: 'prompt', prompt: 'greet', outcome: 'failed' },
    ])
    limit.mockReturnValue(new Date('2030-01-01T00:00:00Z') as never)
    expect(await bob.callTool({ name: 'stock', arguments: { item: 7 } })).toMatchObject({
      _meta: { 'mcp-delegation/code': 'ERR_RATE_LIMITED' },
    })
  })

  test('guards what answers whatever has no handler', async () => {
    const { mcp, records } = serving()
    const fallback = vi.fn(async () => ({ content: [] }))
    const serve = mcp.fetch(
      serverOf((server) => {
        server.server.fallbackRequestHandler = fallback
        const { server: inner } = mcp.guard(server)
        inner.registerCapabilities({ tools: {}, prompts: {} })
        if (era === '2026-07-28') inner.fallbackRequestHandler = fallback
      }),
    )
    const bob = await clientOf(serve, 'bob', era)
    fallback.mockClear()
    expect(await bob.callTool({ name: 'erase' })).toMatchObject({ isError: true })
    await expect(bob.getPrompt({ name: 'fire' })).rejects.toMatchObject({ code: -32602 })
    expect(fallback).not.toHaveBeenCalled()
    await bob.callTool({ name: 'stock' })
    expect(fallback).toHaveBeenCalledTimes(1)
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(['denied', 'denied', 'ok'])
  })

  test('completes a template that goes by its own text under its own name', async () => {
    const { mcp } = serving()
    const complete = { page: () => ['hunter2'] }
    const read = async (uri: URL) => text(uri, 'x')
    const serve = mcp.fetch(
      serverOf((server) => {
        mcp.guard(server)
        server.registerResource('readme', new ResourceTemplate('x://{+all}', { list: undefined }), {}, read)
        const own = 'x://a/{page}'
        server.registerResource(own, new ResourceTemplate(own, { list: undefined, complete }), {}, read)
      }),
    )
    const bob = await clientOf(serve, 'bob', era)
    const asked = bob.complete({
      ref: { type: 'ref/resource', uri: 'x://a/{page}' },
      argument: { name: 'page', value: '' },
    })
    await expect(asked).rejects.toMatchObject({ data: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' } })
  })

  test('counts a call once, when it is about to run, and nothing else', async () => {
    const limit = vi.fn(({ name }: { name: string }) => (name === 'raw' ? new Date('2030-01-01T00:00:00Z') : undefined))
    const { serve, records } = serving({}, { policy: { ...policyOf(OPEN, SCOPED), limit } })
    const bob = await clientOf(serve, 'bob', era)
    await listsOf(bob)
    await bob.callTool({ name: 'erase', arguments: { item: 'x' } })
    await bob.callTool({ name: 'boost', arguments: { item: 'x' } }).catch(() => {})
    expect(limit).not.toHaveBeenCalled()
    await bob.readResource({ uri: 'config://readme' })
    expect(limit.mock.calls).toMatchObject([[{ kind: 'resource', name: 'readme' }]])
    await bob.callTool({ name: 'stock', arguments: { item: 'x' } })
    expect(limit).toHaveBeenCalledTimes(2)
    expect(await bob.callTool({ name: 'raw' })).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_RATE_LIMITED', 'mcp-delegation/retryAfter': '2030-01-01T00:00:00.000Z' },
    })
    expect(limit).toHaveBeenCalledTimes(3)
    expect(ran).not.toHaveBeenCalled()
    expect(uses(records).at(-1)).toMatchObject({ tool: 'raw', outcome: 'denied', code: 'ERR_RATE_LIMITED' })
  })

  test('follows levels', async () => {
    const policy = permissions({
      levels: ['READ_ONLY', 'POWER_OPS'],
      issuers: [{ issuer: 'https://idp.example', groups: { readers: 'READ_ONLY', operators: 'POWER_OPS' } }],
      tools: { stock: 'READ_ONLY', erase: 'POWER_OPS' },
      resources: { readme: 'READ_ONLY', payroll: 'POWER_OPS' },
      prompts: { greet: 'POWER_OPS' },
      rateLimits: { tools: { stock: { calls: 1, per: 60_000 } } },
    })
    const in_ = (group: string) => testSession({ subject: group, groups: new Set([group]) })
    const verifier = verifierOf({ reader: in_('readers'), operator: in_('operators'), guest: in_('guests') })
    const { serve } = serving({ verifier }, { policy })
    const lists = { reader: {}, operator: {}, guest: {} } as Record<string, object>
    for (const token of Object.keys(lists)) lists[token] = await listsOf(await clientOf(serve, token, era))
    expect(lists).toEqual({
      reader: { tools: ['stock'], resources: ['config://readme'], templates: [], prompts: [] },
      operator: {
        tools: ['stock', 'erase'],
        resources: ['config://readme', 'payroll://1', 'payroll://2'],
        templates: ['payroll'],
        prompts: ['greet'],
      },
      guest: { tools: [], resources: [], templates: [], prompts: [] },
    })
    const reader = await clientOf(serve, 'reader', era)
    const refused = await reader.callTool({ name: 'erase', arguments: { item: 'x' } })
    expect(refused).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('POWER_OPS') }] })
    const calls = [1, 2].map(() => reader.callTool({ name: 'stock', arguments: { item: 'x' } }))
    expect((await Promise.all(calls)).map(({ isError }) => isError === true)).toEqual([false, true])
  })
})

describe('on the wire', () => {
  const bodies: string[] = []
  const listening =
    (serve: Fetch): Fetch =>
    async (request) => {
      const response = await serve(request)
      bodies.push(await response.clone().text())
      return response
    }

  test('what differs by caller is for no shared cache, whatever its author says', async () => {
    const open = { cacheScope: 'public' as const, ttlMs: 60_000 }
    const { mcp } = serving()
    const cacheHints = {
      'tools/list': open,
      'prompts/list': open,
      'resources/list': open,
      'resources/templates/list': open,
      'resources/read': open,
    }
    const handler = serverOf(
      (server) => {
        guarded(mcp)(server)
        const cached = mcp.resource('readme', async (uri) => ({ ...text(uri, 'x'), ...open }))
        server.registerResource('cached', 'config://cached', { cacheHint: open }, cached)
      },
      { cacheHints },
    )
    bodies.length = 0
    const alice = await clientOf(listening(mcp.fetch(handler)), 'alice')
    bodies.length = 0
    await listsOf(alice)
    await alice.readResource({ uri: 'config://cached' })
    await alice.readResource({ uri: 'config://readme' })
    expect(bodies).toHaveLength(6)
    for (const body of bodies) {
      expect(body).toContain('"cacheScope":"private"')
      expect(body).toContain('"ttlMs":60000')
      expect(body).not.toContain('public')
    }
  })
})

describe('a server', () => {
  test.each([
    ['that has a tool', (server: McpServer) => void server.registerTool('x', {}, async () => ({ content: [] }))],
    [
      'that has a resource',
      (server: McpServer) => void server.registerResource('x', 'x://y', {}, async () => ({ contents: [] })),
    ],
    ['that has a prompt', (server: McpServer) => void server.registerPrompt('x', {}, async () => said('x'))],
    [
      'that handles requests itself',
      ({ server }: McpServer) => {
        server.registerCapabilities({ tools: {} })
        server.setRequestHandler('tools/list', () => ({ tools: [] }))
      },
    ],
  ])('%s is guarded too late', (_what, begin) => {
    const server = new McpServer({ name: 'x', version: '1' })
    begin(server)
    expect(() => serving().mcp.guard(server)).toThrow(
      new TypeError(
        '"server" must be new: nothing registered yet, and no tools, resources or prompts in its capabilities',
      ),
    )
  })

  test('that declares tools when it is made is guarded too late', () => {
    const server = new McpServer({ name: 'x', version: '1' }, { capabilities: { tools: {} } })
    expect(() => serving().mcp.guard(server)).toThrow(TypeError)
  })

  test('is guarded once, however often that is asked', async () => {
    const { mcp, records } = serving()
    const serve = mcp.fetch(serverOf((server) => guarded(mcp)(mcp.guard(mcp.guard(server)))))
    const bob = await clientOf(serve, 'bob')
    await bob.callTool({ name: 'raw' })
    await bob.callTool({ name: 'drop' })
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(['ok', 'denied'])
  })

  test('is under one guard alone', () => {
    const server = serving().mcp.guard(new McpServer({ name: 'x', version: '1' }))
    expect(() => serving().mcp.guard(server)).toThrow(new TypeError('"server" must not be under another guard'))
  })

  test('whose author handles requests themselves is guarded all the same', async () => {
    const { mcp, records } = serving()
    const handled = vi.fn(async () => ({ content: [{ type: 'text' as const, text: 'low' }] }))
    const subscribed = vi.fn(() => ({}))
    const params = z.object({ cursor: z.string().optional() })
    const result = z.looseObject({})
    const serve = mcp.fetch(
      serverOf((given) => {
        const { server } = mcp.guard(given)
        server.registerCapabilities({ tools: {}, resources: { subscribe: true } })
        const tool = (name: string) => ({ name, inputSchema: { type: 'object' as const } })
        server.setRequestHandler('tools/list', { params, result }, () => ({ tools: ['stock', 'erase'].map(tool) }))
        server.setRequestHandler('tools/call', handled)
        server.setRequestHandler('resources/list', () => ({ resources: [{ uri: 'x://y', name: 'readme' }] }))
        server.setRequestHandler('resources/subscribe', subscribed)
        server.registerCapabilities({ prompts: {} })
        server.setRequestHandler('prompts/list', () => ({}) as never)
      }),
    )
    const bob = await clientOf(serve, 'bob', '2025-11-25')
    expect((await bob.listTools()).tools.map(({ name }) => name)).toEqual(['stock'])
    expect((await bob.listResources()).resources).toEqual([])
    expect((await bob.listPrompts()).prompts).toEqual([])
    expect(await bob.callTool({ name: 'erase' })).toMatchObject({ isError: true })
    expect(await bob.callTool({ name: 'stock' })).toMatchObject({ content: [{ text: 'low' }] })
    expect(handled).toHaveBeenCalledTimes(1)
    await expect(bob.subscribeResource({ uri: 'x://y' })).rejects.toMatchObject({ code: -32602 })
    expect(subscribed).not.toHaveBeenCalled()
    const alice = await clientOf(serve, 'alice', '2025-11-25')
    await alice.subscribeResource({ uri: 'x://y' })
    expect(subscribed).toHaveBeenCalledTimes(1)
    expect(uses(records)).toMatchObject([
      { tool: 'erase', outcome: 'denied' },
      { tool: 'stock', outcome: 'ok' },
      { resource: 'x://y', outcome: 'denied', subject: 'bob' },
    ])
  })

  test('mounted without the gate lists nothing to nobody', async () => {
    const { mcp } = serving()
    const handler = serverOf(guarded(mcp))
    const client = await clientOf((request) => handler.fetch(request), 'alice')
    for (const list of ['listTools', 'listResources', 'listResourceTemplates', 'listPrompts'] as const)
      await expect(client[list]()).rejects.toMatchObject({ data: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' } })
    expect(await client.callTool({ name: 'raw' })).toMatchObject({ isError: true })
    expect(ran).not.toHaveBeenCalled()
  })

  test('says that something was added, and not what', async () => {
    const { mcp } = serving({ stdio: async () => testSession({ subject: 'bob' }) })
    const server = mcp.guard(new McpServer({ name: 'x', version: '1' }))
    register(mcp, server)
    const [near, far] = InMemoryTransport.createLinkedPair()
    const sent: string[] = []
    const { send } = far
    far.send = async (message, options) => {
      sent.push(JSON.stringify(message))
      await send.call(far, message, options)
    }
    await server.connect(far)
    const client = new Client({ name: 'test', version: '1.0.0' })
    await client.connect(near)
    expect(await listsOf(client)).toEqual(LISTED_TO_BOB)
    sent.length = 0
    server.registerTool('hidden', {}, async () => ({ content: [] }))
    server.registerResource('hidden', 'x://hidden', {}, async () => ({ contents: [] }))
    server.registerPrompt('hidden', {}, async () => said('x'))
    await vi.waitFor(() => expect(sent).toHaveLength(3))
    expect(sent.join()).toContain('list_changed')
    expect(sent.join()).not.toContain('hidden')
    expect(await listsOf(client)).toEqual(LISTED_TO_BOB)
  })
})

test('without guard(server), a resource and a prompt have a guard of their own', async () => {
  const { mcp, records } = serving()
  const serve = mcp.fetch(serverOf((server) => register(mcp, server)))
  const bob = await clientOf(serve, 'bob')
  expect((await bob.listTools()).tools).toHaveLength(5)
  await expect(bob.readResource({ uri: 'payroll://1' })).rejects.toMatchObject({ code: -32602 })
  await expect(bob.readResource({ uri: 'config://archive' })).rejects.toMatchObject({
    code: -32602,
    data: { 'mcp-delegation/code': 'ERR_SESSION_SCOPE', 'mcp-delegation/scopes': ['more'] },
  })
  await expect(bob.getPrompt({ name: 'fire', arguments: { whom: 'x' } })).rejects.toMatchObject({ code: -32602 })
  expect(uses(records).map(({ outcome }) => outcome)).toEqual(['denied', 'denied', 'denied'])
})
