import { within } from '../within.ts'
import { outage } from './refusal.ts'

const MAX_BYTES = 524_288
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Scheme, host and path as they are written: nothing that a parser of URLs would leave out or put in. */
const WRITTEN_OUT = /^https?:\/\/[^\s\p{Cc}\\/?#@]+(?:[/?][^\s\p{Cc}\\#]*)?$/u

/**
 * Whether tokens and keys may travel to `url`: over TLS, or to this machine. Names no user, and has no fragment.
 */
export function isTrustworthy(url: unknown): url is string {
  if (typeof url !== 'string' || !WRITTEN_OUT.test(url) || !URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || LOOPBACK.test(hostname)
}

/** `fetch` that follows no redirect, and whose answer is read whole, up to 512 kB. */
export async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  const { status, statusText, headers } = response
  return new Response(size === 0 ? null : Buffer.concat(chunks), { status, statusText, headers })
}

/** The JSON of an answer. Where it is none, the error is without its text, which may repeat what was asked. */
export async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('the answer is not JSON')
  }
}

/** A JSON object, or the status with which it was not given. Rejects with an outage for everything else. */
export async function getJson(
  url: string,
  timeout: number,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>> | number> {
  try {
    const headers = { accept: 'application/json, application/jwk-set+json' }
    const response = await within(timeout, signal, (all) => boundedFetch(url, { signal: all, headers }))
    if (response.status !== 200) return response.status
    const body = await jsonOf(response)
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  } catch (error) {
    throw outage(`${url} gave no answer, or not JSON`, error)
  }
  throw outage(`${url} did not answer with an object`)
}
