import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, jsonAnswer } from './answer.ts'
import { BodyTooLarge, parseJson } from './body.ts'
import type { Head } from './gate.ts'

/** A request as Node's frameworks extend it. */
export interface NodeRequest extends IncomingMessage {
  /** The URL before Express cut off the path of a mount. */
  originalUrl?: string
  /** What a body parser left. */
  body?: unknown
}

/** The parts of a request that the gate looks at. */
export function headOf(request: NodeRequest): Head {
  const { headers, method = 'GET' } = request
  return {
    method,
    url: request.originalUrl ?? request.url ?? '/',
    authorization: headers.authorization === undefined ? undefined : allOf(request, 'authorization'),
    origin: headers.origin,
    transportSession: one(headers['mcp-session-id']),
    requestedHeaders: headers['access-control-request-headers'],
  }
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

/** Every value of a header; Node's `headers` keeps only the first of some. */
function allOf({ rawHeaders }: IncomingMessage, name: string): readonly string[] {
  const values: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const raw = rawHeaders[index] ?? ''
    if (raw.length === name.length && raw.toLowerCase() === name) values.push(rawHeaders[index + 1] ?? '')
  }
  return values
}

/** Takes the token out of the request, so that no handler finds it. */
export function redactAuthorization(request: IncomingMessage): void {
  delete request.headers.authorization
  delete request.headersDistinct['authorization']
  // Node counts on the length of this list.
  const { rawHeaders } = request
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.toLowerCase() === 'authorization') rawHeaders[index + 1] = '[redacted]'
}

/** Writes an answer of the gate. */
export function sendAnswer(response: ServerResponse, { status, headers, body }: Answer): void {
  response.statusCode = status
  for (const name in headers) response.setHeader(name, headers[name] ?? '')
  // Without one, Node says what the status and the method allow to say.
  if (body !== undefined) response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

/** A request's body. */
export interface Content {
  readonly text: string | undefined
  /** Undefined where the text is not JSON: whoever handles the request says so. */
  readonly parsed: unknown
  /** Whether a body parser had read it before. */
  readonly preparsed: boolean
}

const EMPTY: Content = { text: undefined, parsed: undefined, preparsed: false }

/**
 * The body, read once and parsed once: `given` or the request's `body` where a body parser has read it already. Express
 * passes its `next` where the body would be.
 * @throws BodyTooLarge for more than `max` bytes.
 */
export async function contentOf(request: NodeRequest, given: unknown, max: number): Promise<Content> {
  if (request.method === 'GET' || request.method === 'HEAD') return EMPTY
  const left = request.readableEnded ? request.body : undefined
  const parsed = given === undefined || typeof given === 'function' ? left : given
  if (parsed !== undefined) return { text: JSON.stringify(parsed), parsed, preparsed: true }
  const text = await readBody(request, max)
  return { text, parsed: parseJson(text), preparsed: false }
}

function readBody(request: IncomingMessage, max: number): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > max) return Promise.reject(new BodyTooLarge())
  return new Promise((resolve, reject) => {
    const early = new Error('the request ended early')
    if (request.destroyed) return reject(early)
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= max) chunks.push(chunk)
      else {
        request.pause()
        reject(new BodyTooLarge())
      }
    })
    request.on('end', () => resolve(Buffer.concat(chunks).toString()))
    request.on('error', reject)
    request.on('close', () => reject(early))
  })
}

const TOKEN = new Set(['authorization'])
/** What a body parser has made untrue. */
const TOKEN_AND_ENCODING = new Set([...TOKEN, 'content-length', 'content-encoding', 'transfer-encoding'])

const BAD_REQUEST: Answer = jsonAnswer(400, { error: 'bad_request', error_description: 'The request cannot be read' })
const NOT_ALLOWED: Answer = { status: 405, headers: { allow: 'GET, POST, DELETE' }, body: undefined }
/** What a web-standard request cannot have. */
const UNKNOWN_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK'])

/**
 * The request as a web-standard one, without its token, at the server's own `origin` whatever its `Host` says; the
 * answer where there is no such request.
 */
export function toRequest(
  request: NodeRequest,
  { text, preparsed }: Content,
  signal: AbortSignal,
  origin: string,
): Request | Answer {
  const { headers, method = 'GET' } = request
  if (UNKNOWN_METHODS.has(method.toUpperCase())) return NOT_ALLOWED
  const target = targetOf(request.originalUrl ?? request.url ?? '/')
  if (target === undefined || !URL.canParse(origin + target)) return BAD_REQUEST
  const left = preparsed ? TOKEN_AND_ENCODING : TOKEN
  const copied = new Headers()
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || left.has(name) || name.startsWith(':')) continue
    if (Array.isArray(value)) for (const item of value) copied.append(name, item)
    else copied.set(name, value)
  }
  return new Request(origin + target, {
    method,
    headers: copied,
    signal,
    ...(text !== undefined && text !== '' && { body: text }),
  })
}

const SCHEME_AND_AUTHORITY = /^https?:\/\/[^/?#]*/i

/** Path and query of a request's target; undefined for one that has none, such as `*`. */
function targetOf(url: string): string | undefined {
  if (url.startsWith('/')) return url
  const cut = SCHEME_AND_AUTHORITY.exec(url)?.[0].length
  if (cut === undefined) return undefined
  const target = url.slice(cut)
  return target.startsWith('/') ? target : `/${target}`
}

/** Writes a web-standard response: a stream at the pace at which the client reads, anything else at once. */
export async function sendResponse(
  response: ServerResponse,
  answer: Response,
  more: Readonly<Record<string, string>> | undefined,
): Promise<void> {
  response.statusCode = answer.status
  for (const [name, value] of answer.headers)
    if (name === 'set-cookie') response.appendHeader(name, value)
    else response.setHeader(name, value)
  for (const name in more) response.setHeader(name, more[name] ?? '')
  if (answer.body === null) response.end()
  else if (answer.headers.get('content-type')?.startsWith('text/event-stream') === true)
    await sendStream(response, answer.body)
  else response.end(Buffer.from(await answer.arrayBuffer()))
}

async function sendStream(response: ServerResponse, body: ReadableStream<Uint8Array>): Promise<void> {
  response.flushHeaders()
  const reader = body.getReader()
  const cancel = (): void => {
    reader.cancel().catch(() => {})
  }
  response.on('close', cancel)
  if (response.destroyed) cancel()
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read())
      if (!response.write(chunk.value) && !response.destroyed) await drained(response)
  } finally {
    response.off('close', cancel)
    response.end()
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
