import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { McpHttpHandler } from '@modelcontextprotocol/server'
import { describe, expect, test, vi } from 'vitest'
import { protectMcp } from '../src/protect-mcp.ts'
import { serverOf, whoami } from './clients.ts'
import { METADATA, RESOURCE, world } from './support.ts'

describe('the fetch form', () => {
  const mcp = protectMcp(world().options)
  const serve = mcp.fetch(serverOf(whoami(mcp)))

  test('serves the metadata, and so does metadata() alone', async () => {
    for (const answer of [await serve(new Request(METADATA)), mcp.metadata(new Request(METADATA))]) {
      expect(answer?.status).toBe(200)
      expect(await answer?.json()).toMatchObject({ resource: RESOURCE, authorization_servers: ['https://idp.example'] })
    }
    expect(mcp.metadata(new Request(RESOURCE))).toBeUndefined()
    expect(mcp.metadata(new Request(`${METADATA}?x=1`))?.status).toBe(200)
  })

  test('never calls the handler for who is not admitted', async () => {
    const handler = vi.fn(async () => new Response())
    const response = await mcp.fetch({ fetch: handler })(new Request(RESOURCE, { method: 'POST' }))
    expect(response.status).toBe(401)
    expect(handler).not.toHaveBeenCalled()
  })

  test('hands the body over once parsed, and keeps the token back', async () => {
    const seen: unknown[] = []
    const handler: Pick<McpHttpHandler, 'fetch'> = {
      async fetch(request, options) {
        seen.push(await request.clone().json(), options?.parsedBody, options?.authInfo?.token)
        seen.push(request.headers.has('authorization'), request.clone().headers.has('authorization'))
        return new Response()
      },
    }
    const headers = { authorization: 'Bearer alice' }
    await mcp.fetch(handler)(new Request(RESOURCE, { method: 'POST', body: '{"a":1}', headers }))
    expect(seen).toEqual([{ a: 1 }, { a: 1 }, '[redacted]', false, false])
  })

  test('leaves what is not JSON, and what has no body, to the handler', async () => {
    const seen: unknown[] = []
    const handler: Pick<McpHttpHandler, 'fetch'> = {
      async fetch(request, options) {
        seen.push(request.method, await request.text(), options)
        return new Response()
      },
    }
    const headers = { authorization: 'Bearer alice' }
    for (const init of [{ method: 'POST', body: '{' }, { method: 'POST' }, { method: 'GET' }])
      await mcp.fetch(handler)(new Request(RESOURCE, { ...init, headers }))
    const authInfo = expect.anything()
    expect(seen).toEqual(['POST', '{', { authInfo }, 'POST', '', { authInfo }, 'GET', '', { authInfo }])
  })

  test('answers 413 for a body over the limit, and lets the handler’s failure through', async () => {
    const limited = protectMcp(world({ maxBodySize: 10 }).options)
    const failing = { fetch: () => Promise.reject(new Error('closed')) }
    const post = (body: string): Request =>
      new Request(RESOURCE, { method: 'POST', body, headers: { authorization: 'Bearer alice' } })
    expect((await limited.fetch(failing)(post('x'.repeat(11)))).status).toBe(413)
    await expect(limited.fetch(failing)(post('{}'))).rejects.toThrow('closed')
  })

  test('lets pages of an allowed origin read whatever is answered, a redirect and 413 too', async () => {
    const origin = 'https://app.example'
    const limited = protectMcp(world({ maxBodySize: 10, allowedOrigins: [origin] }).options)
    const redirect = limited.fetch({ fetch: async () => Response.redirect('https://other.example/', 302) })
    const headers = { authorization: 'Bearer alice', origin }
    for (const [body, status] of [
      ['{}', 302],
      ['x'.repeat(11), 413],
    ] as const) {
      const response = await redirect(new Request(RESOURCE, { method: 'POST', body, headers }))
      expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([status, origin])
      expect(response.headers.get('location')).toBe(status === 302 ? 'https://other.example/' : null)
    }
  })

  test('aborts the handler when the request is aborted', async () => {
    const leaving = new AbortController()
    let seen: AbortSignal | undefined
    const handler = {
      async fetch(request: Request): Promise<Response> {
        seen = request.signal
        return new Response()
      },
    }
    const headers = { authorization: 'Bearer alice' }
    await mcp.fetch(handler)(new Request(RESOURCE, { method: 'POST', body: '{}', headers, signal: leaving.signal }))
    leaving.abort()
    expect(seen?.aborted).toBe(true)
  })
})

describe('the Node form', () => {
  async function listen(listener: RequestListener): Promise<{ origin: string } & AsyncDisposable> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const stop = async (): Promise<void> => {
      server.close().closeAllConnections()
    }
    return { origin, [Symbol.asyncDispose]: stop }
  }
  const json = { authorization: 'Bearer alice', 'content-type': 'application/json' }

  test('hands body and session over, and keeps the token back', async () => {
    const mcp = protectMcp(world().options)
    const seen: unknown[] = []
    const handler: Pick<McpHttpHandler, 'fetch'> = {
      async fetch(request, options) {
        seen.push(await request.json(), options?.parsedBody, options?.authInfo?.token, [...request.headers.keys()])
        return Response.json({ ok: true }, { headers: { 'x-from': 'handler' } })
      },
    }
    await using server = await listen(mcp.node(handler))
    const response = await fetch(`${server.origin}/mcp`, { method: 'POST', headers: json, body: '{"a":1}' })
    expect([response.status, response.headers.get('x-from'), await response.json()]).toEqual([
      200,
      'handler',
      { ok: true },
    ])
    expect(seen.slice(0, 3)).toEqual([{ a: 1 }, { a: 1 }, '[redacted]'])
    expect(seen[3]).not.toContain('authorization')
  })

  test('reads no body before the caller is known', async () => {
    const mcp = protectMcp(world().options)
    let read = false
    await using server = await listen((request, response) => {
      request.on('newListener', (event) => {
        if (event === 'data') read = true
      })
      void mcp.node({ fetch: async () => new Response() })(request, response)
    })
    expect((await fetch(`${server.origin}/mcp`, { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(401)
    expect(read).toBe(false)
    await fetch(`${server.origin}/mcp`, { method: 'POST', headers: json, body: '{}' })
    expect(read).toBe(true)
  })

  test('answers 413 for a body over the limit, and 500 where the handler fails', async () => {
    const origin = 'https://app.example'
    const { options, log } = world({ maxBodySize: 10, allowedOrigins: [origin] })
    const mcp = protectMcp(options)
    const headers = { ...json, origin }
    const failing = { fetch: async () => Promise.reject(new Error('hunter2')) }
    await using server = await listen(mcp.node(failing))
    const tooLarge = await fetch(`${server.origin}/mcp`, { method: 'POST', headers, body: 'x'.repeat(11) })
    expect([tooLarge.status, tooLarge.headers.get('connection')]).toEqual([413, 'close'])
    const failed = await fetch(`${server.origin}/mcp`, { method: 'POST', headers, body: '{}' })
    for (const response of [tooLarge, failed]) expect(response.headers.get('access-control-allow-origin')).toBe(origin)
    expect(failed.status).toBe(500)
    expect(await failed.text()).not.toContain('hunter2')
    expect(log.entries).toMatchObject([{ level: 'error', message: 'a request failed' }])
  })

  test('blames nobody but the client for a request that it wrote wrong', async () => {
    const { options, log } = world()
    const seen: string[] = []
    const handler = {
      async fetch({ url }: Request): Promise<Response> {
        seen.push(url)
        return new Response()
      },
    }
    await using server = await listen(protectMcp(options).node(handler))
    const statusOf = async (line: string, host: string): Promise<number> => {
      const socket = connect(Number(new URL(server.origin).port), '127.0.0.1')
      socket.end(`${line} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer alice\r\nConnection: close\r\n\r\n`)
      let text = ''
      for await (const chunk of socket) text += chunk
      return Number(text.split(' ')[1])
    }
    for (const host of ['u:p@evil', 'a b<>', 'evil:99999']) expect(await statusOf('POST /mcp', host)).toBe(200)
    expect(await statusOf('GET http://u:p@evil:99999/mcp', 'h')).toBe(200)
    expect(new Set(seen)).toEqual(new Set([RESOURCE]))
    expect(await statusOf('OPTIONS *', 'h')).toBe(400)
    expect(await statusOf('TRACE /mcp', 'h')).toBe(405)
    expect(seen).toHaveLength(4)
    expect(log.entries).toEqual([])
  })

  test('aborts the handler when the client leaves, and says nothing about it', async () => {
    const { options, log } = world()
    const mcp = protectMcp(options)
    let arrive: (signal: AbortSignal) => void
    const arrived = new Promise<AbortSignal>((resolve) => {
      arrive = resolve
    })
    const handler = {
      fetch: (request: Request) =>
        new Promise<Response>((_resolve, reject) => {
          request.signal.addEventListener('abort', () => reject(request.signal.reason))
          arrive(request.signal)
        }),
    }
    await using server = await listen(mcp.node(handler))
    const leaving = new AbortController()
    const response = fetch(`${server.origin}/mcp`, {
      method: 'POST',
      headers: json,
      body: '{}',
      signal: leaving.signal,
    })
    const signal = await arrived
    leaving.abort()
    await expect(response).rejects.toThrow()
    await vi.waitFor(() => expect(signal.aborted).toBe(true))
    expect(log.entries).toEqual([])
  })

  test('lets pages of an allowed origin read what the handler answers', async () => {
    const origin = 'https://app.example'
    const mcp = protectMcp(world({ allowedOrigins: [origin] }).options)
    await using server = await listen(mcp.node({ fetch: async () => Response.json({}) }))
    const response = await fetch(`${server.origin}/mcp`, { method: 'POST', headers: { ...json, origin }, body: '{}' })
    expect(response.headers.get('access-control-allow-origin')).toBe(origin)
  })
})
