import { readRequestBody } from '@modelcontextprotocol/server'
import { BodyTooLarge, parseJson } from './body.ts'
import type { Head } from './gate.ts'

/** The parts of a request that the gate looks at. */
export function headOf({ method, url, headers }: Request): Head {
  return {
    method,
    url,
    authorization: headers.get('authorization') ?? undefined,
    origin: headers.get('origin') ?? undefined,
    transportSession: headers.get('mcp-session-id') ?? undefined,
    requestedHeaders: headers.get('access-control-request-headers') ?? undefined,
  }
}

/** A request as its handler gets it. */
export interface Forwarded {
  readonly request: Request
  /** Its body where that is JSON, so that it is parsed once. */
  readonly parsed: unknown
}

/**
 * The same request without its token. A new one: taking a header out of the old one does not take it out of its clones
 * on every server.
 * @throws BodyTooLarge for a body of more than `max` bytes.
 */
export async function withoutToken(given: Request, max: number): Promise<Forwarded> {
  const { method, url, signal } = given
  const headers = new Headers(given.headers)
  headers.delete('authorization')
  if (method === 'GET' || method === 'HEAD')
    return { request: new Request(url, { method, headers, signal }), parsed: undefined }
  const body = await readRequestBody(given, max)
  if (body.tooLarge) throw new BodyTooLarge()
  const { text } = body
  return {
    request: new Request(url, { method, headers, signal, ...(text !== '' && { body: text }) }),
    parsed: parseJson(text),
  }
}

/** The same response with more headers. A new one: those of a redirect, or of what `fetch` got, cannot be written to. */
export function withMoreHeaders(given: Response, more: Readonly<Record<string, string>> | undefined): Response {
  if (more === undefined) return given
  const { body, status, statusText } = given
  const headers = new Headers(given.headers)
  for (const name in more) headers.set(name, more[name] ?? '')
  return new Response(body, { status, statusText, headers })
}
