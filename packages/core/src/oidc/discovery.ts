import { getJson, isTrustworthy } from './bounded-fetch.ts'
import { outage } from './refusal.ts'

/** What is needed of an authorization server's metadata. */
export interface IssuerMetadata {
  readonly jwksUri: string
  readonly introspectionEndpoint: string | undefined
}

/**
 * Reads an issuer's metadata from where OpenID Connect puts it or, where that is not there, from RFC 8414's place.
 * Rejects with an outage; a document of another issuer is one as well, since it says nothing about the caller's token.
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
 * @see https://www.rfc-editor.org/rfc/rfc8414#section-3
 */
export async function discover(issuer: string, timeout: number, signal: AbortSignal): Promise<IssuerMetadata> {
  const { origin, pathname, protocol } = new URL(issuer)
  // Who is asked over TLS has no business on this machine.
  const isPlace = (url: unknown): url is string =>
    isTrustworthy(url) && (protocol === 'http:' || url.startsWith('https:'))
  const path = pathname.replace(/\/$/, '')
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]
  for (const place of places) {
    const document = await getJson(place, timeout, signal)
    if (typeof document === 'number') {
      if (document >= 400 && document < 500) continue
      throw outage(`${place} answered ${document}`)
    }
    if (document['issuer'] !== issuer) throw outage(`${place} is the document of another issuer`)
    const { jwks_uri: jwksUri, introspection_endpoint: introspectionEndpoint } = document
    if (!isPlace(jwksUri)) throw outage(`${place} names no "jwks_uri" that can be trusted`)
    return { jwksUri, introspectionEndpoint: isPlace(introspectionEndpoint) ? introspectionEndpoint : undefined }
  }
  throw outage(`${issuer} has no discovery document`)
}
