import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import type { Clock } from '../clock.ts'
import { isDelegationError } from '../errors.ts'
import { getJson } from './bounded-fetch.ts'
import type { Claims } from './claims.ts'
import { discover, type IssuerMetadata } from './discovery.ts'
import type { GroupResolver } from './group-resolver.ts'
import { type Introspection, introspect } from './introspection.ts'
import type { IssuerProfile } from './issuer-profile.ts'
import { outage, refused } from './refusal.ts'
import { type Remembered, remembered } from './remembered.ts'

/** Finds the key of a token. Rejects with a refusal where the issuer has none like it, with an outage otherwise. */
export type KeyOf = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/** An issuer whose tokens are accepted, and what was learnt of it so far. */
export interface TrustedIssuer {
  readonly issuer: string
  readonly profile: IssuerProfile
  readonly groupResolver: GroupResolver | undefined
  /** Asks the issuer what an opaque token is; `undefined` where it is not to be asked. */
  readonly introspect: ((token: string, signal: AbortSignal) => Promise<Claims>) | undefined
  keyOf(signal: AbortSignal): KeyOf
}

export interface TrustedIssuerOptions {
  readonly issuer: string
  readonly profile: IssuerProfile
  readonly groupResolver: GroupResolver | undefined
  readonly introspection: Introspection | undefined
  readonly jwksUri: string | undefined
  /** Milliseconds for one request. */
  readonly timeout: number
  readonly clock: Clock
}

/** Keeps one issuer's metadata and keys apart from those of every other. */
export function trustedIssuer(options: TrustedIssuerOptions): TrustedIssuer {
  const { issuer, timeout, clock, introspection } = options
  const metadata = remembered((signal) => discover(issuer, timeout, signal), clock)
  const keys = remembered(async (signal) => {
    const uri = options.jwksUri ?? (await metadata.renew(signal)).jwksUri
    return fetchKeys(uri, timeout, signal)
  }, clock)

  return {
    issuer,
    profile: options.profile,
    groupResolver: options.groupResolver,
    introspect: introspection && introspecting(options, introspection, metadata),
    keyOf: (signal) => async (header, token) => {
      const find = async (set: KeyOf): Promise<CryptoKey | undefined> => {
        try {
          return await set(header, token)
        } catch (error) {
          if (error instanceof errors.JWKSNoMatchingKey) return undefined
          if (error instanceof errors.JWKSMultipleMatchingKeys)
            throw refused('several keys fit: the token has no "kid"')
          throw outage(`the key set of ${issuer} is not usable`, error)
        }
      }
      const key = (await find(await keys.get(signal))) ?? (await find(await keys.renew(signal)))
      if (key === undefined) throw refused('the issuer has no such key')
      return key
    },
  }
}

async function fetchKeys(uri: string, timeout: number, signal: AbortSignal): Promise<KeyOf> {
  const document = await getJson(uri, timeout, signal)
  if (typeof document === 'number') throw outage(`${uri} answered ${document}`)
  try {
    return createLocalJWKSet(document as unknown as JSONWebKeySet)
  } catch (error) {
    throw outage(`${uri} gave no usable key set`, error)
  }
}

const MAX_QUESTIONS = 20
const BUSY = 1_000

/** Asks at most {@link MAX_QUESTIONS} at once. Looks anew for the endpoint where there was none, or it failed. */
function introspecting(
  { issuer, timeout, clock }: TrustedIssuerOptions,
  introspection: Introspection,
  metadata: Remembered<IssuerMetadata>,
): (token: string, signal: AbortSignal) => Promise<Claims> {
  let questions = 0
  let failed = false
  return async (token, signal) => {
    let place = await (failed ? metadata.renew(signal) : metadata.get(signal))
    if (place.introspectionEndpoint === undefined) place = await metadata.renew(signal)
    if (questions === MAX_QUESTIONS)
      throw outage(`${issuer} is asked about ${MAX_QUESTIONS} tokens already`, undefined, new Date(clock.now() + BUSY))
    questions++
    try {
      const claims = await introspect(token, issuer, place, introspection, { signal, timeout })
      failed = false
      return claims
    } catch (error) {
      failed = isDelegationError(error) && error.code === 'ERR_DELEGATION_UNAVAILABLE'
      throw error
    } finally {
      questions--
    }
  }
}
