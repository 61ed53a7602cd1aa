import { isDelegationError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { secret } from '../secret.ts'
import { createSession, type Session } from '../session.ts'
import { isCleanText } from '../text.ts'
import type { Lifetime } from './check-claims.ts'
import { actorsOf, type Claims, claimAt, isMachine, isPlain, MalformedClaim, passes, stringsAt } from './claims.ts'
import type { ClaimPath, IssuerProfile } from './issuer-profile.ts'
import { refused } from './refusal.ts'

/** What a session takes for a group, a role or a scope. */
const MAX_NAME_BYTES = 1024

/** What tells a session from claims that were verified. */
export interface SessionSource extends Lifetime {
  readonly token: string
  readonly issuer: string
  readonly profile: IssuerProfile
  readonly claims: Claims
  readonly more?: Session['more'] | undefined
  readonly log: Logger
}

/** The first of `values` that is a text. */
const firstText = (values: readonly unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '')

/**
 * Makes the session of a verified token. Malformed scopes, groups and roles count as none, and one that can't be shown
 * is left out, with a warning; a malformed identity, client or chain of actors is refused.
 */
export function sessionOf(source: SessionSource): Session {
  const { claims, issuer, profile, token, log } = source
  if (!isPlain(claims)) throw refused('a claim has a forbidden name, or is nested too deeply')
  const { sub, preferred_username, email } = claims
  if (typeof sub !== 'string') throw refused('"sub" is missing')
  const clientId = firstText(profile.clientId.map((path) => claimAt(claims, path)))
  if (clientId === undefined) throw refused('no claim names the client')
  const act = actorsOf(claims)
  if (act === undefined) throw refused('"act" is malformed')

  const texts = (paths: readonly ClaimPath[], what: string): ReadonlySet<string> => {
    try {
      const found = [...stringsAt(claims, paths)]
      const clean = found.filter((text) => isCleanText(text, MAX_NAME_BYTES))
      if (clean.length < found.length)
        log.warn(
          { issuer, what, dropped: found.length - clean.length },
          `some of the token's ${what} are no clean text`,
        )
      return new Set(clean)
    } catch (error) {
      if (!(error instanceof MalformedClaim)) throw error
      log.warn({ issuer, what }, `the token's ${what} ${error.message}; it counts as none`)
      return new Set()
    }
  }
  const person = !isMachine(claims, clientId) && profile.user.every((test) => passes(claims, test))
  try {
    return createSession({
      issuer,
      subject: sub,
      clientId,
      kind: person ? 'user' : 'machine',
      displayName: firstText([preferred_username, email]) ?? sub,
      groups: texts(profile.groups, 'groups'),
      roles: texts(profile.roles, 'roles'),
      scopes: texts(profile.scopes, 'scopes'),
      act,
      claims,
      more: source.more,
      issuedAt: new Date(source.issuedAt),
      expiresAt: new Date(source.expiresAt),
      token: secret(token),
    })
  } catch (error) {
    throw isDelegationError(error) ? refused(error.message) : error
  }
}
