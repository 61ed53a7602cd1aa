import {
  type CryptoKey,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
} from 'jose'
import { isDelegationError } from '../errors.ts'
import { SingleFlight } from '../single-flight.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { discover, type IssuerMetadata } from './discovery.ts'
import type { Introspection } from './introspection.ts'
import type { IssuerProfile } from './issuer-profile.ts'
import { outage, refused } from './refusal.ts'
import { within } from './within.ts'

/** Finds the key of a token. Rejects with a refusal where the issuer has none like it, with an outage otherwise. */
export type KeyOf = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/** An issuer whose tokens are accepted, and what was learnt of it so far. */
export interface TrustedIssuer {
  readonly issuer: string
  readonly profile: IssuerProfile
  readonly introspection: Introspection | undefined
  /** Learnt when it is first needed; a failure is not remembered. */
  metadata(signal: AbortSignal): Promise<IssuerMetadata>
  keyOf(signal: AbortSignal): KeyOf
}

export interface TrustedIssuerOptions {
  readonly issuer: string
  readonly profile: IssuerProfile
  readonly introspection: Introspection | undefined
  readonly jwksUri: string | undefined
  /** Milliseconds for one request. */
  readonly timeout: number
}

/** Keeps one issuer's metadata and keys apart from those of every other. */
export function trustedIssuer(options: TrustedIssuerOptions): TrustedIssuer {
  const { issuer, timeout } = options
  const fetchInTime: FetchImplementation = (url, init) =>
    within(timeout, init.signal, (signal) => boundedFetch(url, { ...init, signal }))
  const flight = new SingleFlight<undefined, IssuerMetadata>()
  let known: IssuerMetadata | undefined
  let keys: { readonly uri: string; readonly set: ReturnType<typeof createRemoteJWKSet> } | undefined

  const metadata = async (signal: AbortSignal): Promise<IssuerMetadata> => {
    known ??= await flight.run('', undefined, signal, ({ signal: all }) => discover(issuer, timeout, all))
    return known
  }
  const keySet = (uri: string): ReturnType<typeof createRemoteJWKSet> => {
    if (keys?.uri !== uri) {
      const set = createRemoteJWKSet(new URL(uri), { [customFetch]: fetchInTime })
      keys = { uri, set }
    }
    return keys.set
  }

  return {
    issuer,
    profile: options.profile,
    introspection: options.introspection,
    metadata,
    keyOf: (signal) => async (header, token) => {
      const uri = options.jwksUri ?? (await metadata(signal)).jwksUri
      try {
        return await keySet(uri)(header, token)
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) throw refused('the issuer has no such key')
        if (error instanceof errors.JWKSMultipleMatchingKeys) throw refused('several keys fit: the token has no "kid"')
        if (isDelegationError(error)) throw error
        known = undefined
        throw outage(`${uri} gave no usable key set`, error)
      }
    },
  }
}
