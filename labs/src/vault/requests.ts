import { type OutgoingHttpHeaders, request as sendPlain } from 'node:http'
import { Agent, request as send } from 'node:https'

/** How one request is made. */
export interface RequestOptions {
  /** Default: root's. */
  readonly token?: string | undefined
  readonly namespace?: string | undefined
  /** How long the answer may take, in milliseconds. Default: 10 seconds. */
  readonly timeout?: number | undefined
}

/** What the server answered. */
export interface Answer {
  readonly status: number
  /** The parsed JSON body; `undefined` where there is none. */
  readonly body: unknown
}

/** Asks the server; rejects only where there is no answer. */
export type Ask = (method: string, path: string, body?: unknown, options?: RequestOptions) => Promise<Answer>

const PATIENCE = 10_000

/** Requests to `address`, below `/v1/`. Connections are used again, and closed when they are idle for long. */
export function requests(address: string, ca: string | undefined, token: () => string | undefined): Ask {
  const secure = address.startsWith('https:')
  const agent = secure ? new Agent({ ca, keepAlive: true, timeout: PATIENCE }) : undefined
  return (method, path, body, options = {}) => {
    const own = options.token ?? token()
    const patience = options.timeout ?? PATIENCE
    const headers: OutgoingHttpHeaders = { 'x-vault-request': 'true' }
    if (own !== undefined && own !== '') headers['x-vault-token'] = own
    if (options.namespace !== undefined) headers['x-vault-namespace'] = options.namespace
    if (body !== undefined) headers['content-type'] = 'application/json'
    const attempt = (): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const url = `${address}/v1/${path}`
        const made = secure ? send(url, { method, headers, agent }) : sendPlain(url, { method, headers })
        made.setTimeout(patience, () => made.destroy(new Error(`no answer to ${method} ${path} in ${patience} ms`)))
        made.on('error', (error: NodeJS.ErrnoException) => {
          // An idle connection may have ended with the server that it was to.
          const stale = made.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
          if (stale) resolve(attempt())
          else reject(error)
        })
        made.on('response', (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk
          })
          response.on('error', reject)
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parsed(text) }))
        })
        made.end(body === undefined ? undefined : JSON.stringify(body))
      })
    return attempt()
  }
}

/**
 * The body of an answer that must be a success.
 * @throws Error with the method, the path and the server's own words.
 */
export async function must(ask: Ask, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await ask(method, path, body)
  if (answer.status < 300) return answer.body
  throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
}

function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
