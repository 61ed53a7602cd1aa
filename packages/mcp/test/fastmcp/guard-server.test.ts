import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Session } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { Client as SecondClient, StreamableHTTPClientTransport as SecondTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { FastMCP, UserError } from 'fastmcp'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { protectFastMcp } from '../../src/fastmcp/protect-fastmcp.ts'
import { uses } from '../clients.ts'
import { policyOf } from '../policies.ts'
import { type Modules, world } from '../support.ts'

type Protected = ReturnType<typeof protectFastMcp<Modules>>

const stops: (() => unknown)[] = []
const ran = vi.fn()
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
  ran.mockClear()
})

const quiet = (): void => {}
const logger = { debug: quiet, error: quiet, info: quiet, log: quiet, warn: quiet }

/** A server with one of everything, some of it made with `mcp` and some of it not. */
function serverOf(mcp: Protected): FastMCP<Session> {
  const server = mcp.guard(
    new FastMCP<Session>({ name: 'test', version: '1.0.0', authenticate: mcp.authenticate, logger }),
  )
  server.addTools([
    mcp.tool('stock', async (_args, { session }) => session.subject),
    mcp.tool('erase', async () => 'erased'),
  ])
  for (const name of ['raw', 'drop', 'closed'])
    server.addTool({
      name,
      ...(name === 'closed' && { canAccess: () => false }),
      async execute() {
        ran(name)
        return name
      },
    })
  server.addResource({
    ...mcp.resource('readme', 'config://readme', async ({ session, delegate }) => {
      await using name = await delegate('names', {})
      return { text: `${session.subject} as ${name.value.name}` }
    }),
  })
  server.addResources([
    mcp.resource('payroll', 'config://payroll', async () => ({ text: '42' })),
    {
      name: 'secrets',
      uri: 'config://secrets',
      async load() {
        ran('secrets')
        return { text: 'hunter2' }
      },
    },
  ])
  server.addResourceTemplate({
    arguments: [{ name: 'page' }],
    ...mcp.resourceTemplate('invoices', 'invoices://{page}', async ({ page }: { page: string }, { session }) => ({
      text: `${page} ${session.subject}`,
    })),
  })
  server.addResourceTemplates([
    {
      name: 'ledger',
      uriTemplate: 'ledger://{page}',
      arguments: [{ name: 'page' }],
      async load({ page }) {
        ran('ledger')
        return { text: String(page) }
      },
    },
  ])
  server.addPrompt({
    arguments: [{ name: 'whom', required: true }],
    ...mcp.prompt(
      'greet',
      async ({ whom }: { whom?: string | undefined }, { session }) => `${whom} by ${session.subject}`,
    ),
  })
  server.addPrompts([
    { name: 'fire', load: async (_args, auth) => `${ran('fire')} ${auth?.subject}` },
    mcp.prompt('broken', async (): Promise<string> => {
      throw new Error('hunter2')
    }),
    mcp.prompt('sorry', async (): Promise<string> => {
      throw new UserError('no such month')
    }),
  ])
  return server
}

const OPEN = ['stock', 'raw', 'closed', 'readme', 'invoices', 'greet', 'broken', 'sorry']

async function serving(options: Parameters<typeof world>[0] = {}, policy = policyOf(OPEN)) {
  const made = world(options, { policy })
  return { ...made, url: await started(serverOf(protectFastMcp(made.options))) }
}

async function started(server: FastMCP<Session>): Promise<URL> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  await server.start({ transportType: 'httpStream', httpStream: { host: '127.0.0.1', port, stateless: true } })
  stops.push(() => server.stop())
  return new URL(`http://127.0.0.1:${port}/mcp`)
}

test('completes arguments of what the caller may use, and of nothing else', async () => {
  const made = world({}, { policy: policyOf(OPEN) })
  const mcp = protectFastMcp(made.options)
  const server = mcp.guard(
    new FastMCP<Session>({ name: 'test', version: '1.0.0', authenticate: mcp.authenticate, logger }),
  )
  const complete = async (value: string, auth?: unknown) => ({
    values: [`${value} ${(auth as Session | undefined)?.subject}`],
  })
  for (const name of ['invoices', 'ledger'])
    server.addResourceTemplate({
      arguments: [{ name: 'page', complete }],
      ...mcp.resourceTemplate(name, `${name}://{page}`, async () => ({ text: 'x' })),
    })
  for (const name of ['greet', 'fire'])
    server.addPrompt({
      name,
      arguments: [{ name: 'whom' }],
      complete: async (_name, value, session) => complete(value, session),
      load: async () => 'x',
    })
  const bob = await firstClient(await started(server), 'bob')
  const values = async (ref: Parameters<Client['complete']>[0]['ref'], name: string): Promise<readonly string[]> =>
    (await bob.complete({ ref, argument: { name, value: 'x' } })).completion.values
  expect(await values({ type: 'ref/resource', uri: 'invoices://{page}' }, 'page')).toEqual(['x bob'])
  expect(await values({ type: 'ref/resource', uri: 'ledger://{page}' }, 'page')).toEqual([])
  expect(await values({ type: 'ref/prompt', name: 'greet' }, 'whom')).toEqual(['x bob'])
  expect(await values({ type: 'ref/prompt', name: 'fire' }, 'whom')).toEqual([])
})

async function firstClient(url: URL, token: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }) as Transport)
  stops.push(() => client.close())
  return client
}

async function secondClient(url: URL, token: string): Promise<SecondClient> {
  const client = new SecondClient({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new SecondTransport(url, { requestInit }))
  stops.push(() => client.close())
  return client
}

describe.each([
  ['v1', firstClient],
  ['v2', secondClient],
] as const)('a guarded fastmcp server and a client of %s:', (_generation, clientOf) => {
  test('tools are hidden, also those without a guard of their own', async () => {
    const { url, records } = await serving()
    const bob = await clientOf(url, 'bob')
    const alice = await clientOf(url, 'alice')
    expect((await bob.listTools()).tools.map(({ name }) => name)).toEqual(['stock', 'raw'])
    expect((await alice.listTools()).tools.map(({ name }) => name)).toEqual(['stock', 'erase', 'raw', 'drop'])
    expect(await bob.callTool({ name: 'raw' })).toMatchObject({ content: [{ text: 'raw' }] })
    for (const name of ['drop', 'erase', 'closed'])
      await expect(bob.callTool({ name })).rejects.toThrow(`Unknown tool: ${name}`)
    expect(ran.mock.calls).toEqual([['raw']])
    expect(uses(records)).toMatchObject([{ tool: 'raw', outcome: 'ok', subject: 'bob' }])
  })

  test('resources and prompts are listed to everybody, and refused when they are used', async () => {
    const { url, records } = await serving()
    const bob = await clientOf(url, 'bob')
    expect((await bob.listResources()).resources).toHaveLength(3)
    expect((await bob.listPrompts()).prompts).toHaveLength(4)
    expect((await bob.readResource({ uri: 'config://readme' })).contents).toMatchObject([{ text: 'bob as bob' }])
    expect((await bob.readResource({ uri: 'invoices://7' })).contents).toMatchObject([{ text: '7 bob' }])
    expect((await bob.getPrompt({ name: 'greet', arguments: { whom: 'carol' } })).messages).toMatchObject([
      { content: { text: 'carol by bob' } },
    ])
    for (const refused of [
      () => bob.readResource({ uri: 'config://payroll' }),
      () => bob.readResource({ uri: 'config://secrets' }),
      () => bob.readResource({ uri: 'ledger://1' }),
      () => bob.getPrompt({ name: 'fire' }),
    ])
      await expect(refused()).rejects.toThrow('the policy refused: this needs the level POWER_OPS')
    expect(ran).not.toHaveBeenCalled()
    expect(uses(records)).toMatchObject([
      { resource: 'readme', uri: 'config://readme', outcome: 'ok', subject: 'bob' },
      { resource: 'invoices', uri: 'invoices://7', outcome: 'ok' },
      { prompt: 'greet', outcome: 'ok' },
      { resource: 'payroll', uri: 'config://payroll', outcome: 'denied', code: 'ERR_TOOL_DENIED' },
      { resource: 'secrets', outcome: 'denied' },
      { resource: 'ledger', uri: 'ledger://1', outcome: 'denied' },
      { prompt: 'fire', outcome: 'denied' },
    ])
    const alice = await clientOf(url, 'alice')
    expect((await alice.readResource({ uri: 'config://secrets' })).contents).toMatchObject([{ text: 'hunter2' }])
    expect((await alice.getPrompt({ name: 'fire' })).messages).toMatchObject([{ content: { text: 'undefined alice' } }])
  })

  test('errors are safe to show, and what the author wrote for the user is shown', async () => {
    const { url, records } = await serving()
    const bob = await clientOf(url, 'bob')
    const broken = await bob.getPrompt({ name: 'broken' }).catch(String)
    expect(broken).toContain('prompt failed')
    expect(broken).not.toContain('hunter2')
    await expect(bob.getPrompt({ name: 'sorry' })).rejects.toThrow('no such month')
    expect(uses(records).map(({ outcome }) => outcome)).toEqual(['failed', 'failed'])
  })

  test('a call is counted once, when it is about to run', async () => {
    const limit = vi.fn(() => new Date('2030-01-01T00:00:00Z'))
    const { url, records } = await serving({}, { ...policyOf(OPEN), limit })
    const bob = await clientOf(url, 'bob')
    await bob.listTools()
    expect(limit).not.toHaveBeenCalled()
    expect(await bob.callTool({ name: 'stock' })).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_RATE_LIMITED', 'mcp-delegation/retryAfter': '2030-01-01T00:00:00.000Z' },
    })
    expect(limit).toHaveBeenCalledTimes(1)
    expect(uses(records)).toMatchObject([{ tool: 'stock', outcome: 'denied', code: 'ERR_RATE_LIMITED' }])
  })
})

test('on a pipe, the user of the process is served', async () => {
  const { options } = world({ stdio: async () => testSession({ subject: 'bob' }) }, { policy: policyOf(OPEN) })
  const mcp = protectFastMcp(options)
  const [near, far] = InMemoryTransport.createLinkedPair()
  await serverOf(mcp).connect(far as Transport, await mcp.authenticate(undefined))
  const client = new Client({ name: 'test', version: '1.0.0' })
  await client.connect(near as Transport)
  stops.push(() => client.close())
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['stock', 'raw'])
  expect((await client.readResource({ uri: 'config://readme' })).contents).toMatchObject([{ text: 'bob as bob' }])
  await expect(client.readResource({ uri: 'config://payroll' })).rejects.toThrow('the policy refused')
})

test('the record of a template says which resource was read, as far as fastmcp tells', async () => {
  const { options, records } = world()
  const mcp = protectFastMcp(options)
  const read = (template: string, args: object) =>
    mcp
      .resourceTemplate('x', template, async () => ({ text: '' }))
      .load(args)
      .catch(() => {})
  await read('x://{+path}/{name}{?q}', { path: 'a/b', name: 'c d' })
  expect(uses(records)).toMatchObject([{ uri: 'x://a/b/c%20d{?q}', outcome: 'denied', subject: undefined }])
})
