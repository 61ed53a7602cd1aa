/** The token of a request, or why there is none. */
export type Bearer = { readonly token: string } | { readonly token: undefined; readonly problem: 'none' | 'malformed' }

const NONE: Bearer = Object.freeze({ token: undefined, problem: 'none' })
const MALFORMED: Bearer = Object.freeze({ token: undefined, problem: 'malformed' })
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i
const QUERY_TOKEN = /[?&]access_token=/i

/**
 * Reads the one place where a token may be. Another scheme is no token; a token in the query is none either, and next
 * to one in the header it makes the request malformed, as several headers do.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export function readBearer(headers: string | readonly string[] | undefined, url: string): Bearer {
  if (typeof headers === 'object' && headers.length > 1) return MALFORMED
  const header = typeof headers === 'object' ? headers[0] : headers
  if (header === undefined) return NONE
  const token = BEARER.exec(header)?.[1]
  if (token !== undefined) return QUERY_TOKEN.test(url) ? MALFORMED : { token }
  return /^bearer(?: |$)/i.test(header) || /,\s*bearer /i.test(header) ? MALFORMED : NONE
}
