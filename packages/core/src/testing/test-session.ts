import { randomUUID } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { secret } from '../secret.ts'
import { createSession, type Session, type VerifiedClaims } from '../session.ts'

const HOUR = 3_600_000

/**
 * A session as a verifier would make it, for tests: the user `alice` of `https://idp.example`, with a token of its own,
 * without groups, roles and scopes, and one hour to live. Every field can be set; `claims` are added to the usual ones.
 * @throws DelegationError `ERR_SESSION_INVALID` naming the field that is malformed.
 */
export function testSession(claims: Partial<VerifiedClaims> = {}): Session {
  const subject = claims.subject ?? 'alice'
  const issuedAt = claims.issuedAt ?? new Date(systemClock.now())
  const fields = {
    issuer: 'https://idp.example',
    subject,
    clientId: 'test-client',
    kind: 'user',
    displayName: subject,
    groups: new Set<string>(),
    roles: new Set<string>(),
    scopes: new Set<string>(),
    act: [],
    issuedAt,
    expiresAt: new Date(issuedAt.getTime() + HOUR),
    token: secret(`token-of-a-test-session-${randomUUID()}`),
    ...claims,
  } as const
  return createSession({
    ...fields,
    claims: {
      iss: fields.issuer,
      sub: fields.subject,
      client_id: fields.clientId,
      iat: Math.floor(fields.issuedAt.getTime() / 1000),
      exp: Math.floor(fields.expiresAt.getTime() / 1000),
      ...claims.claims,
    },
  })
}
