import { testSession } from '@mcp-delegation/core/testing'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { protectMcp } from '../src/protect-mcp.ts'
import { clientOf, ERAS, serverOf, tools, whoami } from './clients.ts'
import { METADATA, verifierOf, world } from './support.ts'

describe.each(ERAS)('a tool on %s', (era) => {
  test('sees each user as themselves and acts as them', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    const serve = mcp.fetch(serverOf(whoami(mcp)))
    for (const user of ['alice', 'bob']) {
      const client = await clientOf(serve, user, era)
      const { content } = await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })
      expect(content).toEqual([{ type: 'text', text: `hello ${user} as ${user}` }])
      await client.close()
    }
    expect(tools(records)).toMatchObject([
      { outcome: 'ok', tool: 'whoami', subject: 'alice', arguments: {}, code: undefined },
      { outcome: 'ok', tool: 'whoami', subject: 'bob' },
    ])
    expect(records.filter(({ event }) => event === 'delegation')).toMatchObject([
      { tool: 'whoami' },
      { tool: 'whoami' },
    ])
    expect(records.some(({ event }) => event === 'authentication')).toBe(false)
  })

  test('without inputSchema is called with the context alone, and its handler gets no arguments', async () => {
    const { options } = world()
    const mcp = protectMcp(options)
    const given: unknown[] = []
    const serve = mcp.fetch(
      serverOf((server) => {
        server.registerTool(
          'plain',
          {},
          mcp.tool('plain', async (args, { session, context }) => {
            given.push(args, context.mcpReq.method)
            return { content: [{ type: 'text', text: session.subject }] }
          }),
        )
      }),
    )
    const client = await clientOf(serve, 'alice', era)
    expect((await client.callTool({ name: 'plain', arguments: { ignored: 1 } })).content).toEqual([
      { type: 'text', text: 'alice' },
    ])
    expect(given).toEqual([{}, 'tools/call'])
  })

  test('shows a DelegationError with its code, and says "tool failed" for any other error', async () => {
    const { options, records, log } = world()
    const mcp = protectMcp(options)
    const serve = mcp.fetch(
      serverOf((server) => {
        server.registerTool(
          'unknown',
          {},
          mcp.tool('unknown', async (_args, { delegate }) => {
            await delegate('nope' as 'names', {})
            return { content: [] }
          }),
        )
        server.registerTool(
          'broken',
          {},
          mcp.tool('broken', async () => {
            throw new Error('connect to db://admin:hunter2@10.0.0.7 failed')
          }),
        )
      }),
    )
    const client = await clientOf(serve, 'alice', era)
    const unknown = await client.callTool({ name: 'unknown' })
    expect(unknown).toMatchObject({ isError: true, _meta: { 'mcp-delegation/code': 'ERR_DELEGATION_UNKNOWN_MODULE' } })
    const broken = await client.callTool({ name: 'broken' })
    expect(broken).toMatchObject({ isError: true, content: [{ type: 'text', text: 'tool failed' }] })
    expect(JSON.stringify(broken)).not.toContain('hunter2')
    expect(log.entries.filter(({ level }) => level === 'error')).toMatchObject([
      { message: 'a tool failed', fields: { tool: 'broken', err: { message: expect.stringContaining('10.0.0.7') } } },
    ])
    expect(tools(records)).toMatchObject([
      { tool: 'unknown', outcome: 'failed', code: 'ERR_DELEGATION_UNKNOWN_MODULE' },
      { tool: 'broken', outcome: 'failed', code: undefined },
    ])
  })

  test('never sees the raw token, wherever it looks', async () => {
    const token = 'raw-token-of-alice'
    const { options } = world({ verifier: verifierOf({ [token]: testSession() }) })
    const mcp = protectMcp(options)
    let seen = ''
    const handler = createMcpHandler(({ authInfo, requestInfo }) => {
      seen += JSON.stringify([authInfo, [...(requestInfo?.headers ?? [])]])
      const server = new McpServer({ name: 'test', version: '1.0.0' })
      server.registerTool(
        'look',
        {},
        mcp.tool('look', async (_args, { context }) => {
          seen += JSON.stringify([context.http?.authInfo, [...(context.http?.req?.headers ?? [])], context])
          return { content: [] }
        }),
      )
      return server
    })
    const client = await clientOf(mcp.fetch(handler), token, era)
    await client.callTool({ name: 'look' })
    expect(seen).toContain('[redacted]')
    expect(seen).toContain('content-type')
    expect(seen).not.toContain(token)
  })

  test('asks to step up with the base scopes and its own, and records the refusal', async () => {
    const session = testSession({ scopes: new Set(['mcp']) })
    const { options, records } = world({ requiredScopes: ['mcp'], verifier: verifierOf({ alice: session }) })
    const mcp = protectMcp(options)
    let called = false
    const serve = mcp.fetch(
      serverOf((server) => {
        server.registerTool(
          'erase',
          { scopeChallenge: mcp.scopes('erase', 'items:delete') },
          mcp.tool('erase', async () => {
            called = true
            return { content: [] }
          }),
        )
      }),
    )
    const challenged: (string | null)[] = []
    const client = await clientOf(
      async (request) => {
        const response = await serve(request)
        if (response.status === 403) challenged.push(response.headers.get('www-authenticate'))
        return response
      },
      'alice',
      era,
    )
    await expect(client.callTool({ name: 'erase' })).rejects.toMatchObject({ requiredScope: 'mcp items:delete' })
    expect(challenged).toEqual([
      `Bearer error="insufficient_scope", error_description="Insufficient scope", scope="mcp items:delete", resource_metadata="${METADATA}"`,
    ])
    expect(called).toBe(false)
    expect(tools(records)).toMatchObject([
      { tool: 'erase', outcome: 'denied', code: 'ERR_SESSION_SCOPE', subject: 'alice' },
    ])
  })

  test('is open to a scope that includes its own', async () => {
    const session = testSession({ scopes: new Set(['admin']) })
    const { options, records } = world({
      requiredScopes: ['mcp'],
      scopeHierarchy: { admin: ['items:write'], 'items:write': ['items:delete', 'mcp'] },
      verifier: verifierOf({ alice: session }),
    })
    const mcp = protectMcp(options)
    const serve = mcp.fetch(
      serverOf((server) => {
        server.registerTool(
          'erase',
          { scopeChallenge: mcp.scopes('erase', 'items:delete') },
          mcp.tool('erase', async () => ({ content: [] })),
        )
      }),
    )
    const client = await clientOf(serve, 'alice', era)
    expect(await client.callTool({ name: 'erase' })).not.toHaveProperty('isError', true)
    expect(tools(records)).toMatchObject([{ outcome: 'ok' }])
  })

  test('is refused by the policy with a challenge where scopes would help, else with an error', async () => {
    const { options, records } = world(
      {},
      {
        policy: {
          tool: ({ tool }) =>
            tool === 'erase'
              ? { allowed: false, reason: 'needs more', scopes: ['items:delete'] }
              : { allowed: false, reason: 'only in office hours' },
          delegation: () => ({ allowed: true }),
        },
      },
    )
    const mcp = protectMcp(options)
    const serve = mcp.fetch(
      serverOf((server) => {
        for (const name of ['erase', 'stock'])
          server.registerTool(
            name,
            { scopeChallenge: mcp.scopes(name) },
            mcp.tool(name, async () => ({ content: [] })),
          )
      }),
    )
    const client = await clientOf(serve, 'alice', era)
    await expect(client.callTool({ name: 'erase' })).rejects.toMatchObject({ requiredScope: 'items:delete' })
    expect(await client.callTool({ name: 'stock' })).toMatchObject({
      isError: true,
      content: [{ text: 'the policy refused: only in office hours' }],
      _meta: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' },
    })
    expect(tools(records)).toMatchObject([
      { tool: 'erase', outcome: 'denied', code: 'ERR_SESSION_SCOPE' },
      { tool: 'stock', outcome: 'denied', code: 'ERR_TOOL_DENIED' },
    ])
  })

  test('is recorded with the arguments that are listed, and no others', async () => {
    const { options, records } = world({ auditedArguments: { whoami: ['greeting', 'constructor'] } })
    const mcp = protectMcp(options)
    const serve = mcp.fetch(
      serverOf((server) => {
        server.registerTool(
          'whoami',
          { inputSchema: z.object({ greeting: z.string(), password: z.string() }) },
          mcp.tool('whoami', async () => ({ content: [] })),
        )
      }),
    )
    const client = await clientOf(serve, 'alice', era)
    await client.callTool({ name: 'whoami', arguments: { greeting: 'hi\u202e', password: 'hunter2' } })
    expect(tools(records)).toMatchObject([{ arguments: { greeting: 'hi\\u{202e}' } }])
    expect(JSON.stringify(records)).not.toContain('hunter2')
  })

  test('is answered with ERR_AUDIT_FAILED where the call could not be recorded', async () => {
    const { options } = world(
      {},
      {
        audit: ({ event }) => {
          if (event === 'tool') throw new Error('the disk is full')
        },
      },
    )
    const mcp = protectMcp(options)
    const serve = mcp.fetch(serverOf(whoami(mcp)))
    const client = await clientOf(serve, 'alice', era)
    expect(await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).toMatchObject({
      isError: true,
      content: [{ text: 'the call could not be recorded' }],
      _meta: { 'mcp-delegation/code': 'ERR_AUDIT_FAILED' },
    })
  })

  test('refuses to run where the server was mounted without the gate', async () => {
    const { options, records } = world({ stdio: async () => testSession({ subject: 'operator' }) })
    const mcp = protectMcp(options)
    const client = await clientOf((request) => serverOf(whoami(mcp)).fetch(request), 'alice', era)
    expect(await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' },
    })
    expect(tools(records)).toMatchObject([{ outcome: 'denied', subject: undefined, sessionId: undefined }])
  })

  test('refuses an AuthInfo that the gate did not make', async () => {
    const { options, records } = world()
    const mcp = protectMcp(options)
    const authInfo = { token: 't', clientId: 'c', scopes: [], extra: { session: testSession({ subject: 'root' }) } }
    const handler = serverOf(whoami(mcp))
    const client = await clientOf((request) => handler.fetch(request, { authInfo }), 'alice', era)
    expect(await client.callTool({ name: 'whoami', arguments: { greeting: 'hello' } })).toMatchObject({ isError: true })
    expect(tools(records)).toMatchObject([{ outcome: 'denied', code: 'ERR_SESSION_INVALID', subject: undefined }])
  })
})
