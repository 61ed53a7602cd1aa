import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { BodyTooLarge } from '../src/body.ts'
import {
  contentOf,
  headOf,
  type NodeRequest,
  redactAuthorization,
  sendAnswer,
  sendResponse,
  toRequest,
} from '../src/node-http.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** What `look` makes of a request, sent as these bytes. */
async function seen<T>(bytes: string, look: (request: NodeRequest) => T): Promise<Awaited<T>> {
  return await new Promise<Awaited<T>>((resolve, reject) => {
    listen((request, response) => {
      Promise.resolve(look(request))
        .then(resolve, reject)
        .finally(() => response.end())
    }).then((port) => connect(port, '127.0.0.1').end(bytes), reject)
  })
}

describe('headOf', () => {
  test('reads what the gate looks at', async () => {
    const head = await seen(
      'POST /mcp?x=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer a\r\nOrigin: https://o\r\nMcp-Session-Id: s\r\nAccess-Control-Request-Headers: x\r\n\r\n',
      headOf,
    )
    expect(head).toEqual({
      method: 'POST',
      url: '/mcp?x=1',
      authorization: ['Bearer a'],
      origin: 'https://o',
      transportSession: 's',
      requestedHeaders: 'x',
    })
  })

  test('sees every Authorization header, where Node shows the first', async () => {
    const bytes = 'GET / HTTP/1.1\r\nHost: h\r\nauthorization: Bearer a\r\nAUTHORIZATION: Bearer b\r\n\r\n'
    expect(await seen(bytes, (request) => request.headers.authorization)).toBe('Bearer a')
    expect(await seen(bytes, headOf)).toMatchObject({ authorization: ['Bearer a', 'Bearer b'] })
  })

  test('knows nothing that was not sent, and the whole path below a mount of Express', async () => {
    const head = await seen('GET /rest HTTP/1.1\r\nHost: h\r\n\r\n', (request) =>
      headOf(Object.assign(request, { originalUrl: '/mount/rest' })),
    )
    expect(head).toMatchObject({ url: '/mount/rest', authorization: undefined, origin: undefined })
  })
})

test('redactAuthorization leaves no trace of the token', async () => {
  const bytes = 'GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer raw\r\nX: y\r\nauthorization: Bearer raw\r\n\r\n'
  const left = await seen(bytes, (request) => {
    expect(request.headersDistinct['authorization']).toEqual(['Bearer raw', 'Bearer raw'])
    redactAuthorization(request)
    return JSON.stringify([request.headers, request.rawHeaders, request.headersDistinct])
  })
  expect(left).toContain('"y"')
  expect(left).not.toContain('raw')
})

describe('contentOf', () => {
  const post = (body: string): string =>
    `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

  test('reads and parses the body once', async () => {
    expect(await seen(post('{"a":"é"}'), (request) => contentOf(request, undefined, 100))).toEqual({
      text: '{"a":"é"}',
      parsed: { a: 'é' },
      preparsed: false,
    })
  })

  test('leaves what is not JSON to the handler', async () => {
    expect(await seen(post('{'), (request) => contentOf(request, undefined, 100))).toEqual({
      text: '{',
      parsed: undefined,
      preparsed: false,
    })
  })

  test('takes what a body parser left, and takes no function for a body', async () => {
    expect(await seen(post('{}'), (request) => contentOf(request, { given: 1 }, 100))).toEqual({
      text: '{"given":1}',
      parsed: { given: 1 },
      preparsed: true,
    })
    const next = (): void => {}
    expect(await seen(post('{"a":1}'), (request) => contentOf(request, next, 100))).toMatchObject({ parsed: { a: 1 } })
    const read = async (request: NodeRequest): Promise<unknown> => {
      for await (const _ of request);
      return await contentOf(Object.assign(request, { body: { left: 1 } }), next, 100)
    }
    expect(await seen(post('{"left":1}'), read)).toMatchObject({ parsed: { left: 1 }, preparsed: true })
  })

  test('reads no body of a GET', async () => {
    expect(await seen('GET / HTTP/1.1\r\nHost: h\r\n\r\n', (request) => contentOf(request, undefined, 1))).toEqual({
      text: undefined,
      parsed: undefined,
      preparsed: false,
    })
  })

  test('stops at the limit, declared or not', async () => {
    const chunked =
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'
    const read = (request: NodeRequest): Promise<unknown> => contentOf(request, undefined, 10)
    await expect(seen(post('x'.repeat(11)), read)).rejects.toThrow(BodyTooLarge)
    await expect(seen(chunked, read)).rejects.toThrow(BodyTooLarge)
    expect(await seen(post('x'.repeat(10)), read)).toMatchObject({ text: 'x'.repeat(10) })
  })

  test('rejects where the client goes away in the middle, before or while it reads', async () => {
    const cut = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf'
    await expect(seen(cut, (request) => contentOf(request, undefined, 100))).rejects.toThrow()
    const late = async (request: NodeRequest): Promise<unknown> => {
      request.destroy()
      await once(request, 'close').catch(() => {})
      return await contentOf(request, undefined, 100)
    }
    await expect(seen(cut, late)).rejects.toThrow('the request ended early')
  })
})

describe('toRequest', () => {
  const ORIGIN = 'https://mcp.example'
  async function seenRequest(
    sent: string,
    look: (request: NodeRequest) => Promise<ReturnType<typeof toRequest>>,
  ): Promise<Request> {
    const made = await seen(sent, look)
    if ('status' in made) throw new Error(`answered with ${made.status}`)
    return made
  }
  const bytes =
    'POST /mcp?x=1 HTTP/1.1\r\nHost: mcp.example:1\r\nAuthorization: Bearer raw\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\n{}'

  test('carries everything but the token', async () => {
    const made = await seenRequest(bytes, async (request) =>
      toRequest(request, await contentOf(request, undefined, 100), new AbortController().signal, ORIGIN),
    )
    expect(made.url).toBe('https://mcp.example/mcp?x=1')
    expect(made.method).toBe('POST')
    expect(Object.fromEntries(made.headers)).toMatchObject({ 'x-a': '1, 2', 'content-length': '2' })
    expect(made.headers.has('authorization')).toBe(false)
    expect(await made.json()).toEqual({})
  })

  test.each([
    ['/mcp?x=1', 'h', 'https://mcp.example/mcp?x=1'],
    ['/mcp', 'u:p@evil', 'https://mcp.example/mcp'],
    ['/mcp', 'a b<>', 'https://mcp.example/mcp'],
    ['/mcp', 'evil:99999', 'https://mcp.example/mcp'],
    ['//evil/mcp', 'evil', 'https://mcp.example//evil/mcp'],
    ['http://evil/mcp?x=1', 'evil', 'https://mcp.example/mcp?x=1'],
    ['http://u:p@evil:99999?x', 'evil', 'https://mcp.example/?x'],
  ])('puts the target %s of the host %s at the origin of the resource', async (target, host, url) => {
    const made = await seenRequest(`POST ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, async (request) =>
      toRequest(request, await contentOf(request, undefined, 100), new AbortController().signal, ORIGIN),
    )
    expect(made.url).toBe(url)
  })

  test.each([
    ['OPTIONS', '*', 400],
    ['GET', 'mcp:junk', 400],
    ['TRACE', '/mcp', 405],
  ])('answers %s %s itself', async (method, target, status) => {
    const parts = { method, url: target, headers: {} } as NodeRequest
    const content = { text: undefined, parsed: undefined, preparsed: false }
    expect(toRequest(parts, content, new AbortController().signal, ORIGIN)).toMatchObject({ status })
  })

  test('says nothing about the length of a body that was parsed before', async () => {
    const made = await seenRequest(bytes, async (request) =>
      toRequest(request, await contentOf(request, { longer: 'body' }, 100), new AbortController().signal, ORIGIN),
    )
    expect(made.headers.has('content-length')).toBe(false)
    expect(await made.json()).toEqual({ longer: 'body' })
  })

  test('follows the signal', async () => {
    const gone = new AbortController()
    const made = await seenRequest(bytes, async (request) =>
      toRequest(request, await contentOf(request, undefined, 100), gone.signal, ORIGIN),
    )
    gone.abort(new Error('gone'))
    expect(made.signal.aborted).toBe(true)
  })
})

describe('what is sent', () => {
  test('an answer, with its length', async () => {
    const port = await listen((_, response) =>
      sendAnswer(response, { status: 403, headers: { 'x-a': 'b' }, body: '{"é":1}' }),
    )
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect([response.status, response.headers.get('x-a'), response.headers.get('content-length')]).toEqual([
      403,
      'b',
      '8',
    ])
    expect(await response.text()).toBe('{"é":1}')
  })

  test.each([
    ['GET', 204, undefined, null],
    ['HEAD', 200, undefined, null],
    ['HEAD', 401, '{}', '2'],
    ['GET', 405, undefined, '0'],
  ])('for %s the answer %i with the body %s, with the length %s', async (method, status, body, length) => {
    const port = await listen((_, response) => sendAnswer(response, { status, headers: {}, body }))
    const response = await fetch(`http://127.0.0.1:${port}/`, { method })
    expect([response.status, response.headers.get('content-length')]).toEqual([status, length])
  })

  test('a whole response at once, with more headers and every cookie', async () => {
    const headers = new Headers({ 'content-type': 'application/json' })
    headers.append('set-cookie', 'a=1')
    headers.append('set-cookie', 'b=2')
    const port = await listen((_, response) => {
      void sendResponse(response, new Response('{"a":1}', { status: 201, headers }), { vary: 'origin' })
    })
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect(response.status).toBe(201)
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(response.headers.get('vary')).toBe('origin')
    expect(response.headers.get('content-length')).toBe('7')
    expect(await response.json()).toEqual({ a: 1 })
  })

  test('a response without a body', async () => {
    const port = await listen((_, response) => {
      void sendResponse(response, new Response(null, { status: 202 }), undefined)
    })
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(202)
  })

  test('a stream, event by event, and its source is cancelled when the client leaves', async () => {
    let pushed: ReadableStreamDefaultController<Uint8Array> | undefined
    let cancelled: (() => void) | undefined
    const left = new Promise<void>((resolve) => {
      cancelled = resolve
    })
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        pushed = controller
      },
      cancel: () => cancelled?.(),
    })
    const port = await listen((_, response) => {
      void sendResponse(response, new Response(body, { headers: { 'content-type': 'text/event-stream' } }), undefined)
    })
    const client = httpRequest({ port, host: '127.0.0.1' }).end()
    const [incoming] = (await once(client, 'response')) as [IncomingMessage]
    pushed?.enqueue(Buffer.from('data: 1\n\n'))
    expect(String(await once(incoming, 'data'))).toBe('data: 1\n\n')
    incoming.on('error', () => {})
    client.destroy()
    await left
  })

  test('a stream waits for a client that reads slowly', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let pulled = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled++
          if (pulled > 1000) controller.close()
          else controller.enqueue(chunk)
        },
      },
      { highWaterMark: 0 },
    )
    const port = await listen((_, response) => {
      void sendResponse(response, new Response(body, { headers: { 'content-type': 'text/event-stream' } }), undefined)
    })
    const client = httpRequest({ port, host: '127.0.0.1' }).end()
    const [incoming] = (await once(client, 'response')) as [IncomingMessage]
    incoming.pause()
    let before = -1
    while (pulled !== before) {
      before = pulled
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(pulled).toBeLessThan(1000)
    let size = 0
    for await (const part of incoming) size += (part as Buffer).length
    expect(size).toBe(1000 * chunk.length)
  })
})
