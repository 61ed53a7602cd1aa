import { type Clock, systemClock } from '../clock.ts'
import { type Logger, silentLog } from '../log.ts'
import type { Session } from '../session.ts'
import { isTrustworthy } from './bounded-fetch.ts'
import type { ClaimRules } from './check-claims.ts'
import { type GroupResolver, groupResolver } from './group-resolver.ts'
import { type IntrospectionOptions, introspection } from './introspection.ts'
import type { ClaimPath, IssuerProfile } from './issuer-profile.ts'
import type { IssuerProfileName } from './profiles.ts'
import { claimPath, issuerProfile } from './read-profile.ts'
import { type TrustedIssuer, trustedIssuer } from './trusted-issuer.ts'

/** One issuer whose tokens are accepted. */
export interface IssuerOptions {
  /** Exactly as its tokens write it, trailing slash included. `https`, or `http` on a loopback address. */
  readonly issuer: string
  /** How its tokens are read; default `rfc9068`. */
  readonly profile?: IssuerProfileName | IssuerProfile | undefined
  /** Where its tokens hold groups, instead of where the profile says: one claim, or the way to a nested one. */
  readonly groups?: ClaimPath | undefined
  /** Asks somebody else for the groups of a session whose token does not hold them all, or not by name. */
  readonly groupResolver?: GroupResolver | undefined
  /** Where its keys are, where they are not to be found by discovery. */
  readonly jwksUri?: string | undefined
  /** Asks this issuer about opaque tokens; for one issuer at most, since an opaque token doesn't name its own. */
  readonly introspection?: IntrospectionOptions | undefined
}

/** Asks somebody else about a verified session; what it answers becomes `session.more`, part of the session's rights. */
export type VerifyMore = (
  session: Session,
  options: { readonly signal: AbortSignal },
) => Promise<Readonly<Record<string, unknown>>>

export interface OidcVerifierOptions {
  readonly issuers: readonly IssuerOptions[]
  /** What `aud` must name: this server, in the words of its issuers. One of several is enough. */
  readonly audience: string | readonly string[]
  /** Milliseconds after `iat` at which a token counts as expired, whatever its `exp`; default 24 hours. */
  readonly maxTokenAge?: number | undefined
  /** Milliseconds that this machine's clock may be behind its issuers'; default 5,000. Never makes a token live longer. */
  readonly clockTolerance?: number | undefined
  /** Milliseconds for one request to an issuer, and for one run of `groupResolver` or `verifyMore`; default 5,000. */
  readonly timeout?: number | undefined
  /** Verified tokens are remembered: `max` of them (5,000), for `maxAge` milliseconds (60,000; 0 for not at all). */
  readonly cache?: { readonly max?: number | undefined; readonly maxAge?: number | undefined } | undefined
  /**
   * Runs once for a token, while that is remembered, with plain JSON for an answer. A `DelegationError` that it throws
   * is passed on; anything else, a wrong answer included, is `ERR_DELEGATION_UNAVAILABLE`.
   */
  readonly verifyMore?: VerifyMore | undefined
  readonly clock?: Clock | undefined
  /** Refusals at `debug`, outages and malformed claims at `warn`. */
  readonly log?: Logger | undefined
}

/** {@link OidcVerifierOptions}, checked. */
export interface VerifierSettings {
  readonly issuers: ReadonlyMap<string, TrustedIssuer>
  readonly introspecting: TrustedIssuer | undefined
  readonly rules: ClaimRules
  readonly timeout: number
  readonly cache: { readonly max: number; readonly maxAge: number }
  readonly verifyMore: VerifyMore | undefined
  readonly clock: Clock
  readonly log: Logger
}

const MINUTE = 60_000
const DAY = 86_400_000

function whole(value: unknown, option: string, fallback: number, from: number, to: number): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to) return value
  throw new TypeError(`"${option}" must be a whole number from ${from} to ${to}`)
}

function audiences(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) return [...list] as string[]
  throw new TypeError('"audience" must be a text, or a list of them that is not empty')
}

function readIssuer(value: IssuerOptions, option: string, timeout: number, clock: Clock): TrustedIssuer {
  const { issuer, jwksUri, profile, groups, introspection: asking, groupResolver: resolver } = value ?? {}
  const where = 'an https URL, or an http one on a loopback address, without user and fragment'
  if (!isTrustworthy(issuer) || issuer.includes('?'))
    throw new TypeError(`"${option}.issuer" must be ${where}, written out in full and without query`)
  if (jwksUri !== undefined && !isTrustworthy(jwksUri)) throw new TypeError(`"${option}.jwksUri" must be ${where}`)
  const read = issuerProfile(profile, `${option}.profile`)
  return trustedIssuer({
    issuer,
    jwksUri,
    timeout,
    clock,
    profile: groups === undefined ? read : { ...read, groups: [claimPath(groups, `${option}.groups`)] },
    groupResolver: groupResolver(resolver, `${option}.groupResolver`),
    introspection: introspection(asking, `${option}.introspection`),
  })
}

/** @throws TypeError naming the option that is wrong. */
export function readOptions(options: OidcVerifierOptions): VerifierSettings {
  const { issuers, verifyMore, clock = systemClock, log = silentLog, cache = {} } = options ?? {}
  const timeout = whole(options?.timeout, 'timeout', 5_000, 1, MINUTE)
  if (typeof clock?.now !== 'function') throw new TypeError('"clock" must have a function "now"')
  if (typeof cache !== 'object' || cache === null) throw new TypeError('"cache" must be an object')
  if (!Array.isArray(issuers) || issuers.length === 0) throw new TypeError('"issuers" must be a list that is not empty')
  const trusted = new Map<string, TrustedIssuer>()
  for (const [index, one] of (issuers as readonly IssuerOptions[]).entries()) {
    const read = readIssuer(one, `issuers[${index}]`, timeout, clock)
    if (trusted.has(read.issuer)) throw new TypeError(`"issuers[${index}].issuer" must not be there twice`)
    trusted.set(read.issuer, read)
  }
  const introspecting = [...trusted.values()].filter((one) => one.introspect !== undefined)
  if (introspecting.length > 1) throw new TypeError('"issuers" must not hold several with "introspection"')
  if (verifyMore !== undefined && typeof verifyMore !== 'function')
    throw new TypeError('"verifyMore" must be a function')
  if (typeof log?.warn !== 'function' || typeof log.debug !== 'function')
    throw new TypeError('"log" must have the functions "debug", "info", "warn" and "error"')
  return {
    issuers: trusted,
    introspecting: introspecting[0],
    rules: {
      audience: audiences(options.audience),
      maxTokenAge: whole(options.maxTokenAge, 'maxTokenAge', DAY, 1_000, 366 * DAY),
      clockTolerance: whole(options.clockTolerance, 'clockTolerance', 5_000, 0, 5 * MINUTE),
    },
    timeout,
    cache: {
      max: whole(cache.max, 'cache.max', 5_000, 1, 1_000_000),
      maxAge: whole(cache.maxAge, 'cache.maxAge', MINUTE, 0, 5 * MINUTE),
    },
    verifyMore,
    clock,
    log,
  }
}
