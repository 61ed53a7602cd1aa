import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { afterEach } from 'vitest'
import type { protectMcp } from '../../src/v1/protect-mcp.ts'
import type { Modules } from '../support.ts'

export type Protected = ReturnType<typeof protectMcp<Modules>>
export interface Incoming extends IncomingMessage {
  auth?: AuthInfo
  body?: unknown
}

/** What ends with the test. */
export const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** Serves as Express would: a body parser, the middleware, then `handle`. */
export async function listen(
  mcp: Protected,
  handle: (request: Incoming, response: ServerResponse) => Promise<void>,
): Promise<string> {
  const http = createServer(async (request: Incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    if (text !== '') request.body = JSON.parse(text)
    await mcp.middleware(request, response, () => void handle(request, response))
  }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  stops.push(() => http.close().closeAllConnections())
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`
}

/** A client whose token is asked for at each request. */
export async function clientOf(url: string, token: string | (() => string)): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' })
  const current = typeof token === 'string' ? () => token : token
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch: (to, init) => {
      const headers = new Headers(init?.headers)
      headers.set('authorization', `Bearer ${current()}`)
      return fetch(to, { ...init, headers })
    },
  })
  await client.connect(transport as Transport)
  stops.push(() => void client.close())
  return client
}

export const post = (url: string, headers: Record<string, string>, body: object): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
  })
