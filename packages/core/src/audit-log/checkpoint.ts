import { createHash, createPrivateKey, createPublicKey, KeyObject, type webcrypto } from 'node:crypto'
import { types } from 'node:util'
import { CompactSign, compactVerify, type JWK } from 'jose'

/** A key as Node, Web Crypto or JOSE have it, or as PEM: Ed25519, or P-256. */
export type CheckpointKey = KeyObject | webcrypto.CryptoKey | JWK | string

/** What an incomplete write left. */
export interface TornBytes {
  readonly bytes: number
  /** In base64url. */
  readonly sha256: string
}

/** What a checkpoint says of the line before it: that and everything before it is covered. */
export interface CheckpointClaims {
  /** The identifier of the log. */
  readonly log: string
  /** The number and the hash of the last line that is covered. */
  readonly seq: number
  readonly hash: string
  /** When it was signed, in ISO 8601. */
  readonly at: string
  /** Lines before this one may have been deleted by `keep`. */
  readonly from: number
  /** Which file of the log this is, counted from 1. */
  readonly file: number
  /** How many lines the writer lets pass without a checkpoint. */
  readonly records: number
  /** Whether it is the first line of a file, or of a writer; signed, so that nobody can hide that a writer started. */
  readonly opens: boolean
  /** What the writer found torn before it. */
  readonly torn: TornBytes | undefined
}

/** A checkpoint whose signature is valid. */
export interface VerifiedCheckpoint extends CheckpointClaims {
  readonly keyId: string | undefined
}

/** A private key to seal with, and the public one that goes with it. */
export interface SealingKey {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly algorithm: 'EdDSA' | 'ES256'
  readonly keyId: string
}

/** Tells a checkpoint from everything else that is signed with the same key. */
const TYPE = 'audit-checkpoint'
const ALGORITHMS = ['EdDSA', 'ES256']
const HASH = /^[\w-]{43}$/
const MAX_JWS = 4096

/**
 * Takes a private key for sealing.
 * @param keyId what checkpoints call it. Default: its thumbprint.
 * @see https://www.rfc-editor.org/rfc/rfc7638
 * @throws TypeError naming the option.
 */
export function sealingKey(key: unknown, keyId: string | undefined, option: string): SealingKey {
  const privateKey = keyObjectOf(key, option, 'private')
  const publicKey = createPublicKey(privateKey)
  return { privateKey, publicKey, algorithm: algorithmOf(publicKey, option), keyId: keyId ?? thumbprint(publicKey) }
}

/**
 * Takes a public key; of a private one, its public part.
 * @throws TypeError naming the option.
 */
export function verifyingKey(key: unknown, option: string): KeyObject {
  const publicKey = keyObjectOf(key, option, 'public')
  algorithmOf(publicKey, option)
  return publicKey
}

function keyObjectOf(key: unknown, option: string, type: 'private' | 'public'): KeyObject {
  let found: KeyObject | undefined
  try {
    found = imported(key, type)
    if (type === 'public' && found.type === 'private') found = createPublicKey(found)
  } catch {
    // The cause may quote the key.
  }
  if (found?.type === type) return found
  throw new TypeError(`"${option}" must be a ${type} key: a KeyObject, a CryptoKey, a JWK or PEM`)
}

function imported(key: unknown, type: 'private' | 'public'): KeyObject {
  if (typeof key === 'string') return type === 'private' ? createPrivateKey(key) : createPublicKey(key)
  if (key instanceof KeyObject) return key
  if (types.isCryptoKey(key)) return KeyObject.from(key)
  const input = { key: key as JWK, format: 'jwk' } as const
  return type === 'private' ? createPrivateKey(input) : createPublicKey(input)
}

function algorithmOf(key: KeyObject, option: string): SealingKey['algorithm'] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ed25519') return 'EdDSA'
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256'
  throw new TypeError(`"${option}" must be an Ed25519 or a P-256 key`)
}

function thumbprint(publicKey: KeyObject): string {
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  const members = y === undefined ? { crv, kty, x } : { crv, kty, x, y }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

/** Signs what a checkpoint says, as a compact JWS. */
export async function signCheckpoint(key: SealingKey, claims: CheckpointClaims): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: key.algorithm, kid: key.keyId, typ: TYPE })
    .sign(key.privateKey)
}

/** Verifies a checkpoint with whichever of `keys` signed it; undefined where none did, or it is none. */
export async function openCheckpoint(jws: string, keys: readonly KeyObject[]): Promise<VerifiedCheckpoint | undefined> {
  if (jws.length > MAX_JWS) return undefined
  for (const key of keys)
    try {
      const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ALGORITHMS })
      if (protectedHeader.typ !== TYPE) return undefined
      const claims = claimsOf(JSON.parse(Buffer.from(payload).toString()))
      return claims === undefined ? undefined : { ...claims, keyId: protectedHeader.kid }
    } catch {
      // Another key may be the one.
    }
  return undefined
}

function claimsOf(value: unknown): CheckpointClaims | undefined {
  const members = (value ?? {}) as Partial<Record<keyof CheckpointClaims, unknown>>
  const { log, seq, hash, at, from, file, records, opens } = members
  const isCount = (count: unknown, least: number): count is number =>
    Number.isSafeInteger(count) && (count as number) >= least
  if (typeof log !== 'string' || typeof hash !== 'string' || typeof at !== 'string') return undefined
  if (!HASH.test(hash) || Number.isNaN(Date.parse(at))) return undefined
  if (!isCount(seq, 0) || !isCount(from, 1) || !isCount(file, 1) || !isCount(records, 1)) return undefined
  if (typeof opens !== 'boolean') return undefined
  const torn = members.torn as TornBytes | undefined
  if (torn !== undefined && !(isCount(torn?.bytes, 1) && typeof torn.sha256 === 'string')) return undefined
  return { log, seq, hash, at, from, file, records, opens, torn }
}
