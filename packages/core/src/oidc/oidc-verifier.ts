import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { isDelegationError } from '../errors.ts'
import { silentLog } from '../log.ts'
import type { Session, SessionVerifier } from '../session.ts'
import { SingleFlight } from '../single-flight.ts'
import { askMore } from './ask-more.ts'
import { checkClaims, checkKind } from './check-claims.ts'
import { resolveGroups } from './group-resolver.ts'
import { type OidcVerifierOptions, readOptions } from './options.ts'
import { detailOf, expired, outage, refused } from './refusal.ts'
import { type SessionSource, sessionOf } from './session-of.ts'
import { vouchFor } from './verify-token.ts'

const MAX_TOKEN_LENGTH = 16_384
/** @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/
const MALFORMED = `the token is not 1 to ${MAX_TOKEN_LENGTH} characters of RFC 6750's alphabet`

/** A session that may be handed out again; milliseconds since the epoch. */
interface Remembered {
  readonly session: Session
  readonly from: number
  readonly until: number
}

/**
 * Verifies access tokens of one or several OpenID providers, and makes sessions of them.
 *
 * A signed token is verified with the keys of the issuer that it names, which are found when they are first needed.
 * ID tokens, tokens that are bound to a key and tokens for another audience are refused, and so are opaque tokens
 * unless an issuer has `introspection`.
 *
 * A verified token is remembered for up to `cache.maxAge`, never longer than it lives. A revocation at the issuer shows
 * after that time, and blocks and ended sessions are not known here at all: ask `registry.standing(session)` on every
 * request, as the gates of @mcp-delegation/mcp do.
 *
 * `verify` rejects with `ERR_SESSION_INVALID` for a token that is refused, `ERR_SESSION_EXPIRED` for one that has
 * expired, `ERR_DELEGATION_UNAVAILABLE` where an identity provider doesn't answer as it must, and the signal's reason
 * for a caller that gives up. The messages tell nothing that an attacker could use; `cause` does.
 * @throws TypeError naming the option that is wrong.
 * @see https://www.rfc-editor.org/rfc/rfc9068#section-4
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
export function oidcVerifier(options: OidcVerifierOptions): SessionVerifier {
  const settings = readOptions(options)
  const { rules, clock, log, timeout, verifyMore, cache } = settings
  const verification = { ...settings, clockTolerance: rules.clockTolerance }
  const flight = new SingleFlight<undefined, Session>()
  const remembered = new LRUCache<string, Remembered>({ max: cache.max })

  const recall = (key: string): Session | undefined => {
    const entry = remembered.get(key)
    if (entry === undefined) return undefined
    const now = clock.now()
    if (entry.from <= now && now < entry.until) return entry.session
    remembered.delete(key)
    return undefined
  }

  const verifyAnew = async (token: string, signal: AbortSignal): Promise<Session> => {
    const { issuer, claims } = await vouchFor(token, verification, signal)
    checkKind(claims)
    const lifetime = checkClaims(claims, issuer.issuer, clock.now(), rules)
    const checkTime = (option: string): void => {
      if (lifetime.expiresAt <= clock.now()) throw expired(`"exp" passed while "${option}" ran`)
    }
    let source: SessionSource = { ...lifetime, token, claims, issuer: issuer.issuer, profile: issuer.profile, log }
    let session = sessionOf(source)
    const { groupResolver } = issuer
    if (groupResolver !== undefined && (groupResolver.when === 'always' || !session.groupsComplete)) {
      const groups = await resolveGroups(groupResolver, session, signal, timeout, log)
      checkTime('groupResolver')
      source = { ...source, groups, log: silentLog }
      session = sessionOf(source)
    }
    if (verifyMore === undefined) return session
    const more = await askMore(verifyMore, session, signal, timeout)
    checkTime('verifyMore')
    try {
      return sessionOf({ ...source, more, log: silentLog })
    } catch (error) {
      throw outage('"verifyMore" did not answer with plain JSON', error)
    }
  }

  const run = async (token: string, key: string, signal: AbortSignal): Promise<Session> => {
    try {
      const session = await verifyAnew(token, signal)
      const from = clock.now()
      const until = Math.min(session.expiresAt.getTime(), from + cache.maxAge)
      if (from < until) remembered.set(key, { session, from, until })
      return session
    } catch (error) {
      if (signal.aborted) throw error
      const answer = isDelegationError(error) ? error : outage('the verification failed', error)
      const reason = { code: answer.code, reason: detailOf(answer.cause) }
      if (answer.code === 'ERR_DELEGATION_UNAVAILABLE') log.warn(reason, 'an access token could not be verified')
      else log.debug(reason, 'an access token was refused')
      throw answer
    }
  }

  return {
    issuers: Object.freeze([...settings.issuers.keys()]),
    verify: async (token, { signal } = {}) => {
      signal?.throwIfAborted()
      if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) throw refused(MALFORMED)
      const key = hash('sha256', token, 'base64url')
      const session = recall(key)
      if (session !== undefined) return session
      if (!TOKEN.test(token)) throw refused(MALFORMED)
      return flight.run(key, undefined, signal, (all) => run(token, key, all.signal))
    },
  }
}
