const MAX_LENGTH = 2048
const SEGMENT = /^[A-Za-z0-9._@|:=~-]+$/

/**
 * Whether `path` is sent as it stands: segments of letters, digits and a few signs that neither HTTP, nor the server's
 * router, nor its policies give a meaning to. Encoding is no way around it, since the server decodes before it routes.
 */
export function isRequestPath(path: unknown): path is string {
  if (typeof path !== 'string' || path.length > MAX_LENGTH) return false
  return path.split('/').every((segment) => SEGMENT.test(segment) && !/^\.+$/.test(segment))
}

/** Whether `query` is sent: its names and values are as plain as segments. */
export function isRequestQuery(query: Readonly<Record<string, string>>): boolean {
  return Object.entries(query).every((pair) => pair.every((text) => /^[A-Za-z0-9_]{1,64}$/.test(text)))
}

/** A query that was checked, with its question mark; nothing where it is empty. */
export function queryOf(query: Readonly<Record<string, string>>): string {
  const text = Object.entries(query).map(([name, value]) => `${name}=${value}`)
  return text.length === 0 ? '' : `?${text.join('&')}`
}

/** A path for an operator to read: whole where it is the server's own, else without what may name a user. */
export function shownPath(path: string): string {
  const [first = '', second, ...rest] = path.split('/')
  if (first === 'auth' || first === 'sys') return path
  if (second === undefined) return first
  return rest.length === 0 ? `${first}/…` : `${first}/${second}/…`
}
