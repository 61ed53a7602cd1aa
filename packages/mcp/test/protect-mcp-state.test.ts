import { testSession } from '@mcp-delegation/core/testing'
import { Client } from '@modelcontextprotocol/client'
import {
  InMemoryTransport,
  inputRequired,
  type McpHandlerRequestOptions,
  McpServer,
  UrlElicitationRequiredError,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { protectMcp } from '../src/protect-mcp.ts'
import { clientOf, type Fetch, type Protected, serverOf, tools, whoami } from './clients.ts'
import { RESOURCE, verifierOf, world } from './support.ts'

describe('state that goes through the client', () => {
  const key = 'a key of at least thirty-two bytes'
  const asked = {
    message: 'Really?',
    requestedSchema: { type: 'object' as const, properties: { sure: { type: 'boolean' as const } } },
  }

  /** A server whose tool asks before it acts; every state that it hands out is kept. */
  function asking(mcp: Protected, states: string[], maxAge?: number) {
    const state = mcp.requestState<{ item: string }>({ key, maxAge })
    return serverOf(
      (server) => {
        server.registerTool(
          'erase',
          { inputSchema: z.object({ item: z.string() }) },
          mcp.tool('erase', async ({ item }, { context }) => {
            const known = context.mcpReq.requestState<{ item: string }>()
            if (known !== undefined) return { content: [{ type: 'text', text: `erased ${known.item}` }] }
            const requestState = await state.mint({ item }, context)
            states.push(requestState)
            return inputRequired({ inputRequests: { sure: inputRequired.elicit(asked) }, requestState })
          }),
        )
      },
      { requestState: state },
    )
  }
  const call = (token: string, requestState?: string): Request =>
    new Request(RESOURCE, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'erase',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: 'erase',
          arguments: { item: 'bolt' },
          ...(requestState !== undefined && {
            requestState,
            inputResponses: { sure: { action: 'accept', content: {} } },
          }),
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
            'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
          },
        },
      }),
    })
  const answerOf = async (serve: Fetch, request: Request): Promise<{ result?: object; error?: object }> =>
    (await (await serve(request)).json()) as { result?: object; error?: object }

  test('has an age, in milliseconds, or is refused when the server is set up', () => {
    const mcp = protectMcp(world().options)
    for (const maxAge of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '600000' as unknown as number])
      expect(() => mcp.requestState({ key, maxAge })).toThrow(
        new TypeError('"maxAge" must be a positive number of milliseconds'),
      )
    expect(() => mcp.requestState({ key, maxAge: 1 })).not.toThrow()
  })

  test('comes back verified: a question passes through the guard, and the answer goes on', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    const states: string[] = []
    const serve = mcp.fetch(asking(mcp, states))
    expect(await answerOf(serve, call('alice'))).toMatchObject({ result: { resultType: 'input_required' } })
    expect(await answerOf(serve, call('alice', states[0]))).toMatchObject({
      result: { content: [{ text: 'erased bolt' }] },
    })
    expect(tools(records).map(({ outcome }) => outcome)).toEqual(['ok', 'ok'])
  })

  test('is refused when it was changed, is too old, or comes from another user or client', async () => {
    const other = testSession({ subject: 'alice', clientId: 'other-client' })
    const renewed = testSession({ subject: 'alice' })
    const verifier = verifierOf({
      alice: testSession({ subject: 'alice' }),
      renewed,
      bob: testSession({ subject: 'bob' }),
      other,
    })
    const { options } = world({ verifier })
    const mcp = protectMcp(options)
    const states: string[] = []
    const serve = mcp.fetch(asking(mcp, states))
    await answerOf(serve, call('alice'))
    const [state = ''] = states
    const refused = { error: { code: -32602, message: 'Invalid or expired requestState' } }
    const turned = `${state.slice(0, -2)}${state.endsWith('AA') ? 'BB' : 'AA'}`
    expect(await answerOf(serve, call('alice', turned))).toMatchObject(refused)
    expect(await answerOf(serve, call('bob', state))).toMatchObject(refused)
    expect(await answerOf(serve, call('other', state))).toMatchObject(refused)
    expect(await answerOf(serve, call('renewed', state))).toHaveProperty('result')

    const expired: string[] = []
    const hasty = mcp.fetch(asking(mcp, expired, 1000))
    await answerOf(hasty, call('alice'))
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3000 })
    try {
      expect(await answerOf(hasty, call('alice', expired[0]))).toMatchObject(refused)
    } finally {
      vi.useRealTimers()
    }
  })

  test('needs a key', () => {
    const mcp = protectMcp(world().options)
    expect(() => mcp.requestState({ key: 'short' })).toThrow(RangeError)
  })
})

test('results that may be cached are private to the user who asked', async () => {
  const mcp = protectMcp(world().options)
  const client = await clientOf(mcp.fetch(serverOf(whoami(mcp))), 'alice')
  expect(await client.listTools()).toMatchObject({ cacheScope: 'private' })
})

test('a page that the user must open is asked for, not failed', async () => {
  const { options, records } = world()
  const mcp = protectMcp(options)
  const serve = mcp.fetch(
    serverOf((server) => {
      server.registerTool(
        'consent',
        {},
        mcp.tool('consent', async () => {
          const elicitations = [
            { mode: 'url' as const, message: 'm', url: 'https://mcp.example/ask', elicitationId: 'e' },
          ]
          throw new UrlElicitationRequiredError(elicitations)
        }),
      )
    }),
  )
  const client = await clientOf(serve, 'alice', '2025-11-25')
  await expect(client.callTool({ name: 'consent' })).rejects.toMatchObject({ code: -32042 })
  expect(tools(records)).toMatchObject([{ outcome: 'ok', code: undefined }])
})

describe('transport sessions of a server that keeps them', () => {
  test('belong to the user who began them', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    const transports = new Map<string, WebStandardStreamableHTTPServerTransport>()
    const handler = {
      async fetch(request: Request, { authInfo }: McpHandlerRequestOptions = {}): Promise<Response> {
        const known = transports.get(request.headers.get('mcp-session-id') ?? '')
        const transport =
          known ??
          new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: mcp.sessionIdGenerator(authInfo) })
        if (known === undefined) {
          const server = new McpServer({ name: 'test', version: '1.0.0' })
          whoami(mcp)(server)
          await server.connect(transport)
        }
        const response = await transport.handleRequest(request, authInfo && { authInfo })
        if (transport.sessionId !== undefined) transports.set(transport.sessionId, transport)
        return response
      },
    }
    const serve = mcp.fetch(handler)
    const alice = await clientOf(serve, 'alice', '2025-11-25')
    const { content } = await alice.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })
    expect(content).toEqual([{ type: 'text', text: 'hello alice as alice' }])
    const [id = ''] = transports.keys()
    expect(id).not.toBe('')
    const stolen = await serve(
      new Request(RESOURCE, {
        headers: { authorization: 'Bearer bob', accept: 'text/event-stream', 'mcp-session-id': id },
      }),
    )
    expect(stolen.status).toBe(404)
    expect(records.at(-1)).toMatchObject({ event: 'authentication', subject: 'bob', code: 'ERR_SESSION_INVALID' })
  })

  test('are not begun without the gate', () => {
    const mcp = protectMcp(world().options)
    expect(() => mcp.sessionIdGenerator(undefined)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_INVALID' }))
  })
})

describe('on stdio', () => {
  async function overPipe(mcp: Protected): Promise<Client> {
    const [near, far] = InMemoryTransport.createLinkedPair()
    const server = new McpServer({ name: 'test', version: '1.0.0' })
    whoami(mcp)(server)
    await server.connect(far)
    const client = new Client({ name: 'test', version: '1.0.0' })
    await client.connect(near)
    return client
  }

  test('the same tool serves the one user of the process', async () => {
    const { options, records } = world({ stdio: async () => testSession({ subject: 'operator' }) })
    const client = await overPipe(protectMcp(options))
    for (const greeting of ['hello', 'again'])
      expect((await client.callTool({ name: 'whoami', arguments: { greeting } })).content).toEqual([
        { type: 'text', text: `${greeting} operator as operator` },
      ])
    expect(new Set(tools(records).map(({ sessionId }) => sessionId)).size).toBe(1)
  })

  test('nobody is served where the option is missing', async () => {
    const client = await overPipe(protectMcp(world().options))
    expect(await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' },
    })
  })
})
