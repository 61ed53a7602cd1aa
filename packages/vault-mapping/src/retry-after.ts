/** Nobody is told to wait longer, in milliseconds. */
const MAX_WAIT = 86_400_000
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * When a server wants to be asked again, in milliseconds since the epoch; `undefined` where it does not say.
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAtOf(header: unknown, now: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const text = header.trim()
  const at = /^\d{1,9}$/.test(text) ? now + Number(text) * 1000 : HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.min(Math.max(at, now), now + MAX_WAIT)
}
