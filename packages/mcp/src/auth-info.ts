import type { Session } from '@mcp-delegation/core'

/** What the SDKs hand to handlers about a verified caller; both generations have this shape. */
export interface AuthInfo {
  token: string
  clientId: string
  scopes: string[]
  expiresAt?: number
  resource?: URL
  resourceMetadataUrl?: string
  extra?: Record<string, unknown>
}

const REDACTED = '[redacted]'
const known = new WeakMap<Session, AuthInfo>()

/** The session as the SDK's `AuthInfo`. The token is not in it: handlers have no use for it that would be right. */
export function authInfoOf(session: Session, resource: string, resourceMetadataUrl: string): AuthInfo {
  const made = known.get(session)
  if (made?.resourceMetadataUrl === resourceMetadataUrl) return made
  const authInfo: AuthInfo = Object.freeze({
    token: REDACTED,
    clientId: session.clientId ?? '',
    scopes: Object.freeze([...session.scopes]) as string[],
    expiresAt: Math.floor(session.expiresAt.getTime() / 1000),
    resource: new URL(resource),
    resourceMetadataUrl,
    extra: Object.freeze({ session }),
  })
  known.set(session, authInfo)
  return authInfo
}

/** The session that {@link authInfoOf} put there; undefined for anything that somebody else put there. */
export function sessionOf(
  authInfo: { readonly extra?: Record<string, unknown> | undefined } | undefined,
): Session | undefined {
  const session = authInfo?.extra?.['session']
  return typeof session === 'object' && session !== null && known.has(session as Session)
    ? (session as Session)
    : undefined
}
