import { randomUUID } from 'node:crypto'
import { secret } from '../../secret.ts'
import { createSession, type Session } from '../../session.ts'

/** Another identity with everything else like `session`, and a token of its own. */
export function likeSession(session: Session, who: { readonly issuer?: string; readonly subject?: string }): Session {
  const issuer = who.issuer ?? session.issuer
  const subject = who.subject ?? session.subject
  return createSession({
    ...session,
    issuer,
    subject,
    claims: { ...session.claims, iss: issuer, sub: subject },
    token: secret(`token-of-somebody-else-${randomUUID()}`),
  })
}
