import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose'
import type { Clock } from '../clock.ts'
import { checkAccessToken } from './check-claims.ts'
import type { Claims } from './claims.ts'
import { detailOf, expired, refused } from './refusal.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'

/** Asymmetric ones only: with a shared secret, whoever can verify a token can make one. */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')

/** What vouches for a token, and what the token says; neither audience nor times are checked yet. */
export interface VouchedToken {
  readonly issuer: TrustedIssuer
  readonly claims: Claims
}

export interface TokenVerification {
  readonly issuers: ReadonlyMap<string, TrustedIssuer>
  /** The issuer that is asked about opaque tokens. */
  readonly introspecting: TrustedIssuer | undefined
  readonly clock: Clock
  /** Milliseconds. */
  readonly clockTolerance: number
}

interface SignedToken {
  readonly header: ProtectedHeaderParameters
  readonly claims: JWTPayload
}

/** What a signed JWT says of itself; `undefined` for any other kind of token. */
function parse(token: string): SignedToken | undefined {
  if (token.split('.').length !== 3) return undefined
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) }
  } catch {
    return undefined
  }
}

/** Has a token vouched for: a signed one by the keys of the issuer that it names, an opaque one by introspection. */
export async function vouchFor(token: string, options: TokenVerification, signal: AbortSignal): Promise<VouchedToken> {
  const parsed = parse(token)
  if (parsed !== undefined) return verifySignature(token, parsed, options, signal)
  const { introspecting: issuer } = options
  if (issuer?.introspect === undefined)
    throw refused('the token is not a signed JWT', 'the access token is opaque, and this server only takes signed ones')
  return { issuer, claims: await issuer.introspect(token, signal) }
}

async function verifySignature(
  token: string,
  { header, claims }: SignedToken,
  { issuers, clock, clockTolerance }: TokenVerification,
  signal: AbortSignal,
): Promise<VouchedToken> {
  const issuer = typeof claims.iss === 'string' ? issuers.get(claims.iss) : undefined
  if (issuer === undefined) throw refused('"iss" is not an issuer that is trusted')
  try {
    const { payload } = await jwtVerify(token, issuer.keyOf(signal), {
      algorithms: ALGORITHMS,
      currentDate: new Date(clock.now()),
      clockTolerance: clockTolerance / 1000,
    })
    checkAccessToken(payload, header.typ, issuer.profile)
    return { issuer, claims: payload }
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw expired('"exp" has passed')
    if (error instanceof errors.JOSEError) throw refused(detailOf(error))
    throw error
  }
}
