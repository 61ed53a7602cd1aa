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
const NONE: ReadonlySet<string> = new Set()

/** What tells a session from claims that were verified. */
export interface SessionSource extends Lifetime {
  readonly token: string
  readonly issuer: string
  readonly profile: IssuerProfile
  readonly claims: Claims
  /** All groups, where somebody else was asked for them; otherwise those of the claims. */
  readonly groups?: ReadonlySet<string> | undefined
  readonly more?: Session['more'] | undefined
  readonly log: Logger
}

/** The first of `values` that is a text. */
const firstText = (values: readonly unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '')

/** The names that a session can hold: those that can't be shown are left out, with a warning. */
export function cleanNames(names: ReadonlySet<string>, what: string, issuer: string, log: Logger): ReadonlySet<string> {
  const clean = new Set([...names].filter((name) => isCleanText(name, MAX_NAME_BYTES)))
  const dropped = names.size - clean.size
  if (dropped > 0) log.warn({ issuer, what, dropped }, `some ${what} are no clean text, and left out`)
  return clean
}

/**
 * Makes the session of a verified token. Malformed scopes, groups and roles count as none, and one that can't be shown
 * is left out, with a warning; a malformed identity, client or chain of actors is refused.
 *
 * Malformed groups are not known: they leave the groups incomplete, as a token does that says so of itself. A name that
 * is left out does not: since it is no clean text, no rule can name it, neither to allow nor to deny, and one odd name
 * must not lock out everybody who is in that group.
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

  const texts = (paths: readonly ClaimPath[], what: string): ReadonlySet<string> | undefined => {
    try {
      return cleanNames(stringsAt(claims, paths), what, issuer, log)
    } catch (error) {
      if (!(error instanceof MalformedClaim)) throw error
      log.warn({ issuer, what }, `the token's ${what} ${error.message}; it counts as none`)
      return undefined
    }
  }
  const groups = source.groups ?? texts(profile.groups, 'groups')
  const saysIncomplete = profile.groupsIncomplete?.some((test) => passes(claims, test)) ?? false
  const person = !isMachine(claims, clientId) && profile.user.every((test) => passes(claims, test))
  try {
    return createSession({
      issuer,
      subject: sub,
      clientId,
      kind: person ? 'user' : 'machine',
      displayName: firstText([preferred_username, email]) ?? sub,
      groups: groups ?? NONE,
      groupsComplete: groups !== undefined && (groups === source.groups || !saysIncomplete),
      roles: texts(profile.roles, 'roles') ?? NONE,
      scopes: texts(profile.scopes, 'scopes') ?? NONE,
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
