import { type Answer, jsonAnswer } from './answer.ts'

/**
 * The refusals of a protected resource. Bodies are generic: what went wrong in detail is for the log and for audit.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-5
 */
export interface Challenges {
  /** 401 without an error code: nobody has shown a token. */
  readonly missing: Answer
  /** 401: the token is not valid, expired, or its session was ended. */
  readonly invalidToken: Answer
  /** 400: the request can't be read as one that carries one token. */
  readonly malformed: Answer
  /** 403 without a challenge: logging in again would not help. */
  readonly accessDenied: Answer
  /** 403: a login with these scopes helps. */
  insufficientScope(scopes: readonly string[]): Answer
  /** 503: who is calling can't be told now. */
  unavailable(retryAfterSeconds: number): Answer
  /** 429: too much at once. */
  tooMany(retryAfterSeconds: number): Answer
  /** 500: something failed that has nothing to do with the caller. */
  readonly failed: Answer
}

/** A quoted-string: `\` and `"` escaped, what can't stand in a header replaced. */
export function quoted(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, '?').replace(/[\\"]/g, '\\$&')}"`
}

/** A `WWW-Authenticate` header of scheme Bearer; parameters that are undefined or empty are left out. */
export function bearerChallenge(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter((parameter): parameter is [string, string] => Boolean(parameter[1]))
  return `Bearer ${given.map(([name, value]) => `${name}=${quoted(value)}`).join(', ')}`
}

/** The refusals of the resource whose metadata is at `metadataUrl` and that asks everybody for `baseScopes`. */
export function challenges(metadataUrl: string, baseScopes: readonly string[]): Challenges {
  const refusal = (
    status: number,
    error: string,
    description: string,
    challenge?: { readonly error?: string; readonly scopes: readonly string[] },
  ): Answer =>
    jsonAnswer(
      status,
      { error, error_description: description },
      challenge && {
        'www-authenticate': bearerChallenge({
          error: challenge.error,
          error_description: challenge.error && description,
          scope: challenge.scopes.join(' '),
          resource_metadata: metadataUrl,
        }),
      },
    )
  const later = (status: number, error: string, description: string, seconds: number): Answer =>
    jsonAnswer(status, { error, error_description: description }, { 'retry-after': String(seconds) })

  return {
    missing: refusal(401, 'unauthorized', 'An access token is required', { scopes: baseScopes }),
    invalidToken: refusal(401, 'invalid_token', 'The access token is not valid', {
      error: 'invalid_token',
      scopes: baseScopes,
    }),
    malformed: refusal(400, 'invalid_request', 'The request must carry one access token, in one Authorization header', {
      error: 'invalid_request',
      scopes: baseScopes,
    }),
    accessDenied: refusal(403, 'access_denied', 'Access is denied'),
    insufficientScope: (scopes) =>
      refusal(403, 'insufficient_scope', 'The access token lacks a scope', { error: 'insufficient_scope', scopes }),
    unavailable: (seconds) => later(503, 'temporarily_unavailable', 'The access token cannot be verified now', seconds),
    tooMany: (seconds) => later(429, 'slow_down', 'Too many requests', seconds),
    failed: refusal(500, 'server_error', 'Internal server error'),
  }
}
