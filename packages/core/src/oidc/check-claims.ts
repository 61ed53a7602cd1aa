import { type Claims, passes } from './claims.ts'
import type { IssuerProfile } from './issuer-profile.ts'
import { normalType } from './read-profile.ts'
import { expired, refused } from './refusal.ts'

/** What every token is held to, however it was verified. Milliseconds. */
export interface ClaimRules {
  readonly audience: readonly string[]
  readonly maxTokenAge: number
  readonly clockTolerance: number
}

/** Claims that only ID tokens have: hashes of what was issued beside them. */
const ID_TOKEN_CLAIMS = ['at_hash', 'c_hash', 's_hash'] as const
/** A claim `typ`, as some issuers write it, of what is no access token. */
const OTHER_TOKENS: ReadonlySet<string> = new Set(['id', 'refresh', 'offline', 'logout'])

/** When a token was issued, and until when it may be used; milliseconds since the epoch. */
export interface Lifetime {
  readonly issuedAt: number
  readonly expiresAt: number
}

function instant(claims: Claims, claim: string): number | undefined {
  const value = claims[claim]
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= 0 && value <= 8.64e12) return value * 1000
  throw refused(`"${claim}" is not a date`)
}

/**
 * Checks issuer, audience, times and binding. The tolerance is for clocks that are behind: it makes tokens valid
 * earlier, never longer.
 * @see https://www.rfc-editor.org/rfc/rfc9068#section-4
 */
export function checkClaims(claims: Claims, issuer: string, now: number, rules: ClaimRules): Lifetime {
  if (claims['iss'] !== issuer) throw refused('"iss" is not the issuer')
  const { aud } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.every((one) => typeof one === 'string') || !rules.audience.some((ours) => audiences.includes(ours)))
    throw refused('"aud" does not name this server')
  if (claims['cnf'] !== undefined) throw refused('the token is bound to a key ("cnf"), which a bearer does not prove')

  const issuedAt = instant(claims, 'iat')
  const expiry = instant(claims, 'exp')
  const notBefore = instant(claims, 'nbf')
  if (issuedAt === undefined || expiry === undefined) throw refused('"iat" or "exp" is missing')
  if (issuedAt > now + rules.clockTolerance) throw refused('"iat" is in the future')
  if (notBefore !== undefined && notBefore > now + rules.clockTolerance) throw refused('"nbf" is in the future')
  const expiresAt = Math.min(expiry, issuedAt + rules.maxTokenAge)
  if (expiresAt <= now) throw expired(expiry <= now ? '"exp" has passed' : 'the token is older than "maxTokenAge"')
  return { issuedAt, expiresAt }
}

/** Refuses what says of itself that it is some other kind of token. */
export function checkKind(claims: Claims): void {
  const marked = ID_TOKEN_CLAIMS.find((claim) => claims[claim] !== undefined)
  if (marked !== undefined) throw refused(`the token has "${marked}": it is an ID token`)
  if (typeof claims['typ'] === 'string' && OTHER_TOKENS.has(claims['typ'].toLowerCase()))
    throw refused('the claim "typ" is not that of an access token')
}

/** Refuses what the issuer's profile does not take for an access token. `typ` is that of the header. */
export function checkAccessToken(claims: Claims, typ: unknown, { types, accessToken }: IssuerProfile): void {
  const type = typ === undefined ? null : typeof typ === 'string' ? normalType(typ) : undefined
  if (type === undefined || !types.includes(type)) throw refused('the header "typ" is not one of the profile')
  for (const test of accessToken) {
    if (!passes(claims, test))
      throw refused(`"${[test.claim].flat().join('.')}" is not as the profile has it in access tokens`)
  }
}
