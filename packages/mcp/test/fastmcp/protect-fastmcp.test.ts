import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Session } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { type Context, FastMCP, UserError } from 'fastmcp'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { protectFastMcp } from '../../src/fastmcp/protect-fastmcp.ts'
import { tools } from '../clients.ts'
import { METADATA, type Modules, RESOURCE, verifierOf, world } from '../support.ts'

type Protected = ReturnType<typeof protectFastMcp<Modules>>

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

/** A fastmcp server, started as the documentation says. */
async function serve(mcp: Protected, stateless = true): Promise<string> {
  const quiet = (): void => {}
  const logger = { debug: quiet, error: quiet, info: quiet, log: quiet, warn: quiet }
  const server = new FastMCP<Session>({ name: 'test', version: '1.0.0', authenticate: mcp.authenticate, logger })
  const greeting = z.object({ greeting: z.string() })
  server.addTool({
    parameters: greeting,
    ...mcp.tool('whoami', async ({ greeting: said }: z.infer<typeof greeting>, { session, delegate }) => {
      await using name = await delegate('names', {})
      return `${said} ${session.subject} as ${name.value.name}`
    }),
  })
  server.addTool({
    ...mcp.tool('look', async (args: unknown, { context }) => JSON.stringify([args, context, context.session])),
  })
  server.addTool({
    ...mcp.tool('broken', async () => {
      throw new Error('hunter2')
    }),
  })
  server.addTool({
    ...mcp.tool('sorry', async () => {
      throw new UserError('the month must be a number')
    }),
  })
  server
    .getApp()
    .all('/.well-known/oauth-protected-resource/*', (context) => mcp.metadata(context.req.raw) ?? context.notFound())
  const port = await freePort()
  await server.start({ transportType: 'httpStream', httpStream: { host: '127.0.0.1', port, stateless } })
  stops.push(() => server.stop())
  return `http://127.0.0.1:${port}/mcp`
}

async function clientOf(url: string, token: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }) as Transport)
  stops.push(() => client.close())
  return client
}

describe('a fastmcp server', () => {
  test('sees each user as themselves and acts as them', async () => {
    const { options, records } = world()
    const url = await serve(protectFastMcp(options))
    for (const user of ['alice', 'bob']) {
      const client = await clientOf(url, user)
      expect((await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).content).toEqual([
        { type: 'text', text: `hello ${user} as ${user}` },
      ])
    }
    expect(tools(records)).toMatchObject([
      { outcome: 'ok', subject: 'alice' },
      { outcome: 'ok', subject: 'bob' },
    ])
  })

  test('answers as the gate says: metadata, 401 with and without an error, 403, 405', async () => {
    const { options, registry } = world()
    const url = await serve(protectFastMcp(options))
    for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource'])
      expect(await (await fetch(new URL(path, url))).json()).toMatchObject({ resource: RESOURCE })
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    const post = (headers: Record<string, string> = {}): Promise<Response> =>
      fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })
    const missing = await post()
    expect([missing.status, missing.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer resource_metadata="${METADATA}"`,
    ])
    const forged = await post({ authorization: 'Bearer forged' })
    expect([forged.status, forged.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ])
    expect((await post({ authorization: 'Bearer alice', origin: 'https://evil.example' })).status).toBe(403)
    await registry.block({ issuer: 'https://idp.example', subject: 'alice' })
    const blocked = await post({ authorization: 'Bearer alice' })
    expect([blocked.status, blocked.headers.has('www-authenticate')]).toEqual([403, false])
    expect(await blocked.json()).toMatchObject({ error: 'access_denied' })
  })

  test('opens no stream of the old transport, whose messages would carry no token', async () => {
    const url = await serve(protectFastMcp(world().options))
    const headers = { authorization: 'Bearer alice', accept: 'text/event-stream' }
    const response = await fetch(new URL('/sse', url), { headers })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('that keeps transport sessions is refused loudly', async () => {
    const url = await serve(protectFastMcp(world().options), false)
    await expect(
      clientOf(url, 'alice').then((client) => client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })),
    ).rejects.toThrow(/404|not found/i)
  })

  test('shows the token to no tool', async () => {
    const token = 'raw-token-of-alice'
    const url = await serve(protectFastMcp(world({ verifier: verifierOf({ [token]: testSession() }) }).options))
    const { content } = await (await clientOf(url, token)).callTool({ name: 'look' })
    expect(JSON.stringify(content)).toContain('alice')
    expect(JSON.stringify(content)).toContain('[redacted]')
    expect(JSON.stringify(content)).not.toContain(token)
  })

  test('says "tool failed", and what the author wrote for the user', async () => {
    const { options, records, log } = world()
    const client = await clientOf(await serve(protectFastMcp(options)), 'alice')
    expect(await client.callTool({ name: 'broken' })).toMatchObject({
      isError: true,
      content: [{ text: 'tool failed' }],
    })
    expect(await client.callTool({ name: 'sorry' })).toMatchObject({
      isError: true,
      content: [{ text: 'the month must be a number' }],
    })
    expect(tools(records)).toMatchObject([{ outcome: 'failed' }, { outcome: 'failed' }])
    expect(log.entries).toMatchObject([{ message: 'a tool failed', fields: { tool: 'broken' } }])
  })

  test('hides what the policy does not allow, and shows what a scope would', async () => {
    const policy = {
      tool: ({ tool }: { tool: string }) =>
        tool === 'broken'
          ? { allowed: false as const, reason: 'no' }
          : tool === 'sorry'
            ? { allowed: false as const, reason: 'more', scopes: ['items:read'] }
            : { allowed: true as const },
      delegation: () => ({ allowed: true as const }),
    }
    const { options } = world({}, { policy })
    const mcp = protectFastMcp(options)
    mcp.scopes('look', 'items:look')
    const client = await clientOf(await serve(mcp), 'alice')
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['whoami', 'look', 'sorry'])
    for (const [name, scope] of [
      ['sorry', 'items:read'],
      ['look', 'items:look'],
    ] as const)
      expect(await client.callTool({ name })).toMatchObject({
        isError: true,
        _meta: { 'mcp-delegation/code': 'ERR_SESSION_SCOPE', 'mcp-delegation/scopes': [scope] },
      })
    await expect(client.callTool({ name: 'broken' })).rejects.toThrow('Unknown tool')
  })
})

describe('protectFastMcp', () => {
  const contextOf = (session: Session | undefined): Context<Session> =>
    ({ session, signal: new AbortController().signal }) as unknown as Context<Session>

  test('on stdio gives the session of the process, and a new one after its expiry', async () => {
    const clock = fakeClock()
    let made = 0
    const stdio = async (): Promise<Session> =>
      testSession({ subject: `operator${++made}`, issuedAt: new Date(clock.now()) })
    const mcp = protectFastMcp(world({ clock, stdio }).options)
    const session = await mcp.authenticate(undefined)
    const { execute } = mcp.tool('who', async (_args, call) => call.session.subject)
    expect(await execute({}, contextOf(session))).toBe('operator1')
    clock.tick(3_600_000)
    expect(await execute({}, contextOf(session))).toBe('operator2')
  })

  test('on stdio begins a session at the next call where the login at the start failed', async () => {
    let failing = true
    const stdio = async (): Promise<Session> => {
      if (failing) throw new Error('nobody is there')
      return testSession({ subject: 'operator' })
    }
    const mcp = protectFastMcp(world({ stdio }).options)
    await expect(mcp.authenticate(undefined)).rejects.toThrow('nobody is there')
    const { execute } = mcp.tool('who', async (_args, call) => call.session.subject)
    expect(await execute({}, contextOf(undefined))).toMatchObject({ isError: true })
    failing = false
    expect(await execute({}, contextOf(undefined))).toBe('operator')
    expect(await execute({}, contextOf(testSession({ subject: 'root' })))).toMatchObject({ isError: true })
  })

  test('rejects on stdio where the option is missing', async () => {
    await expect(protectFastMcp(world().options).authenticate(undefined)).rejects.toMatchObject({
      code: 'ERR_SESSION_INVALID',
    })
  })

  test('serves no session that it did not verify', async () => {
    const { options, records } = world({ stdio: async () => testSession({ subject: 'operator' }) })
    const { execute } = protectFastMcp(options).tool('who', async () => 'called')
    for (const session of [undefined, testSession({ subject: 'root' })])
      expect(await execute({}, contextOf(session))).toMatchObject({
        isError: true,
        _meta: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' },
      })
    expect(tools(records)).toMatchObject([{ subject: undefined }, { subject: undefined }])
  })

  test('rejects with a Response', async () => {
    const { authenticate } = protectFastMcp(world().options)
    const request = { method: 'POST', url: '/mcp', headers: {}, rawHeaders: [] } as unknown as IncomingMessage
    await expect(authenticate(request)).rejects.toBeInstanceOf(Response)
  })
})
