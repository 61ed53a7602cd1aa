/** Which web pages may call the server. */
export interface OriginRule {
  /** Whether a request with this `Origin` header, or without one, may go on. */
  allows(origin: string | undefined): boolean
  /** Whether the header names another origin than the server's own, so that a browser wants CORS headers. */
  isForeign(origin: string | undefined): origin is string
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
// Browser extensions and editors have origins of schemes of their own, which URL calls 'null'.
const OWN_SCHEME = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._~-]+$/i

/** Whether `hostname`, as `URL` has it, is this machine. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname)
}

function isOrigin(value: unknown): boolean {
  if (typeof value !== 'string') return false
  const url = URL.canParse(value) ? new URL(value) : undefined
  return url !== undefined && (url.origin === value || (url.origin === 'null' && OWN_SCHEME.test(value)))
}

function isLoopbackOrigin(origin: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, hostname, origin: serialised } = new URL(origin)
  return serialised === origin && (protocol === 'http:' || protocol === 'https:') && isLoopback(hostname)
}

/**
 * Allows requests without the header, the resource's own origin, `allowed`, and for a resource on this machine every
 * page of this machine. A name that an attacker's DNS points here is none of these.
 * @throws TypeError naming `allowedOrigins`.
 */
export function originRule(resource: URL, allowed: readonly string[] = []): OriginRule {
  if (!Array.isArray(allowed) || !allowed.every(isOrigin))
    throw new TypeError('"allowedOrigins" must be a list of origins such as "https://app.example.com"')
  const origins = new Set([...allowed, resource.origin])
  const local = isLoopback(resource.hostname)
  return {
    allows: (origin) => origin === undefined || origins.has(origin) || (local && isLoopbackOrigin(origin)),
    isForeign: (origin): origin is string => origin !== undefined && origin !== resource.origin,
  }
}

/** What a browser needs to read the answer: `undefined` for the server's own pages. */
export function corsHeaders(
  rule: OriginRule,
  origin: string | undefined,
): Readonly<Record<string, string>> | undefined {
  if (!rule.isForeign(origin)) return undefined
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'www-authenticate, mcp-session-id, mcp-protocol-version, retry-after',
    vary: 'origin',
  }
}
