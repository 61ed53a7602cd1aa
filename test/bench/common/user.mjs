import { randomBytes, randomUUID } from 'node:crypto'
import { createSession, secret } from '@mcp-delegation/core'

/** Who issued every token here. */
export const ISSUER = 'https://login.example.com/realms/staff'

/** An access token of a realistic length; nobody verifies its signature here. */
export function accessToken(subject = randomUUID()) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const issuedAt = Math.floor(Date.now() / 1000)
  const claims = {
    iss: ISSUER,
    sub: subject,
    aud: 'https://mcp.example.com/mcp',
    client_id: 'desktop-client',
    scope: 'openid profile mcp:tools',
    groups: ['staff', 'billing-readers'],
    iat: issuedAt,
    exp: issuedAt + 3600,
    jti: randomUUID(),
  }
  return [
    part({ alg: 'RS256', typ: 'at+jwt', kid: randomUUID() }),
    part(claims),
    randomBytes(256).toString('base64url'),
  ].join('.')
}

/** The session of a user, as a verifier would make it. */
export function userSession(subject = randomUUID(), token = accessToken(subject)) {
  const issuedAt = new Date()
  return createSession({
    issuer: ISSUER,
    subject,
    clientId: 'desktop-client',
    kind: 'user',
    displayName: 'Alice Example',
    groups: new Set(['staff', 'billing-readers']),
    roles: new Set(),
    scopes: new Set(['openid', 'profile', 'mcp:tools']),
    act: [],
    claims: { iss: ISSUER, sub: subject, client_id: 'desktop-client' },
    issuedAt,
    expiresAt: new Date(issuedAt.getTime() + 3_600_000),
    token: secret(token),
  })
}
