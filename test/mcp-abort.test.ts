import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DelegationRegistry } from '@mcp-delegation/core'
import { memoryAudit, testSession } from '@mcp-delegation/core/testing'
import { protectMcp } from '@mcp-delegation/mcp'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { describe, expect, test, vi } from 'vitest'

/** A tool that waits for its signal, on a module that waits for the signal of its issue. */
async function startWaiting() {
  const seen: Record<'handler' | 'issue', AbortSignal | undefined> = { handler: undefined, issue: undefined }
  const audit = memoryAudit()
  const registry = new DelegationRegistry({
    audit,
    policy: 'backend-decides',
    modules: {
      slow: {
        type: 'slow',
        reuse: 'user',
        request: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } },
        target: () => 'slow',
        principal: ({ subject }) => subject,
        issue: (_request, { signal }) => {
          seen.issue = signal
          return new Promise<never>((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          })
        },
      },
    },
  })
  let answer: ReturnType<ReturnType<typeof protectMcp>['node']> = async () => {}
  const http = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = new URL(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`)
  const session = testSession()
  const mcp = protectMcp({
    resource: url,
    registry,
    verifier: { issuers: ['https://idp.example'], verify: async () => session },
  })
  answer = mcp.node(
    createMcpHandler(() => {
      const server = new McpServer({ name: 'test', version: '1.0.0' })
      server.registerTool(
        'wait',
        {},
        mcp.tool('wait', async (_args, { signal, delegate }) => {
          seen.handler = signal
          await delegate('slow', {})
          return { content: [] }
        }),
      )
      return server
    }),
  )
  const connect = async (options: ConstructorParameters<typeof Client>[1]): Promise<Client> => {
    const client = new Client({ name: 'test', version: '1.0.0' }, options)
    const requestInit = { headers: { authorization: 'Bearer any' } }
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit }))
    return client
  }
  const stop = async (): Promise<void> => {
    http.close().closeAllConnections()
    await registry[Symbol.asyncDispose]()
  }
  return { connect, seen, records: audit.records, [Symbol.asyncDispose]: stop }
}

const MODERN = { versionNegotiation: { mode: 'auto' } } as const

describe('a call that its caller aborts', () => {
  test('on 2026-07-28 aborts handler and issue at once, and is recorded once', async () => {
    await using waiting = await startWaiting()
    const client = await waiting.connect(MODERN)
    const abort = new AbortController()
    const call = client.callTool({ name: 'wait' }, { signal: abort.signal })
    await vi.waitFor(() => expect(waiting.seen.issue).toBeDefined())
    const aborted = performance.now()
    abort.abort(new Error('never mind'))
    await expect(call).rejects.toThrow('never mind')
    await vi.waitFor(() => expect(waiting.seen.issue?.aborted).toBe(true), { interval: 5 })
    expect(waiting.seen.handler?.aborted).toBe(true)
    expect(performance.now() - aborted).toBeLessThan(1_000)
    await vi.waitFor(() => expect(waiting.records).toHaveLength(2))
    expect(waiting.records).toMatchObject([
      { event: 'delegation', outcome: 'aborted' },
      { event: 'tool', outcome: 'failed', code: undefined, reason: 'the call was cancelled' },
    ])
  })

  test('on 2025-11-25 is cancelled by a message that reaches no handler: what it began goes on', async () => {
    await using waiting = await startWaiting()
    const client = await waiting.connect({})
    const abort = new AbortController()
    const call = client.callTool({ name: 'wait' }, { signal: abort.signal })
    await vi.waitFor(() => expect(waiting.seen.issue).toBeDefined())
    abort.abort(new Error('never mind'))
    await expect(call).rejects.toThrow('never mind')
    await client.ping()
    expect(waiting.seen.handler?.aborted).toBe(false)
    expect(waiting.records).toEqual([])
  })

  test.each([
    ['2025-11-25', {}],
    ['2026-07-28', MODERN],
  ])('on %s is aborted when the connection is closed', async (_, options) => {
    await using waiting = await startWaiting()
    const client = await waiting.connect(options)
    const call = client.callTool({ name: 'wait' })
    call.catch(() => {})
    await vi.waitFor(() => expect(waiting.seen.issue).toBeDefined())
    await client.close()
    await vi.waitFor(() => expect(waiting.seen.issue?.aborted).toBe(true))
    expect(waiting.seen.handler?.aborted).toBe(true)
  })
})
