import { type Answer, jsonAnswer } from './answer.ts'

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
const METHODS = 'GET, HEAD, OPTIONS'
const ANY_ORIGIN = { 'access-control-allow-origin': '*' }

/** What clients read to find the authorization server. @see https://www.rfc-editor.org/rfc/rfc9728#section-2 */
export interface ResourceMetadata {
  /** Where the document is, as challenges name it: the well-known segment before the resource's path. */
  readonly url: string
  /** The answer where `path` is the document's; undefined for every other path. `path` has no query. */
  answer(method: string, path: string): Answer | undefined
}

/** What the document says. */
export interface MetadataDocument {
  readonly resource: string
  readonly authorizationServers: readonly string[]
  readonly scopes: readonly string[]
}

/**
 * Serves the document at its path and at the root, to any origin: it holds nothing secret.
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-3.1
 */
export function resourceMetadata({ resource, authorizationServers, scopes }: MetadataDocument): ResourceMetadata {
  const { origin, pathname } = new URL(resource)
  const path = WELL_KNOWN + (pathname === '/' ? '' : pathname)
  const paths = new Set([WELL_KNOWN, path, path.replace(/\/$/, '')])
  const found = jsonAnswer(
    200,
    {
      resource,
      authorization_servers: authorizationServers,
      ...(scopes.length > 0 && { scopes_supported: scopes }),
      bearer_methods_supported: ['header'],
    },
    ANY_ORIGIN,
  )
  const preflight: Answer = {
    status: 204,
    headers: {
      ...ANY_ORIGIN,
      'access-control-allow-methods': METHODS,
      // What MCP clients add to every request; without it a browser would not send the request at all.
      'access-control-allow-headers': 'accept, authorization, content-type, mcp-protocol-version',
    },
    body: undefined,
  }
  const notAllowed: Answer = { status: 405, headers: { ...ANY_ORIGIN, allow: METHODS }, body: undefined }

  return {
    url: origin + path.replace(/\/$/, ''),
    answer(method, requested) {
      if (!requested.startsWith(WELL_KNOWN) || !paths.has(requested)) return undefined
      if (method === 'GET') return found
      if (method === 'HEAD') return { ...found, body: undefined }
      return method === 'OPTIONS' ? preflight : notAllowed
    },
  }
}
