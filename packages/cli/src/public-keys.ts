import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { UsageError, unreadable } from './usage.ts'

const PEM = /-----BEGIN (PUBLIC KEY|CERTIFICATE)-----[^-]*-----END \1-----/g
const PRIVATE_PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----/

/**
 * The public keys that a file holds: PEM, one or several, a JWK or a JWKS. Keys that can't have sealed a log are left
 * out.
 * @throws UsageError where the file can't be read, holds none, or holds a private key.
 */
export async function publicKeysIn(path: string): Promise<readonly KeyObject[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  const jwks = jwksOf(text)
  if (PRIVATE_PEM.test(text) || jwks?.some((jwk) => Object.hasOwn(jwk, 'd') || Object.hasOwn(jwk, 'k')))
    throw new UsageError(`${path}: holds a private key: only its public part belongs here`)
  const keys = jwks === undefined ? (text.match(PEM) ?? []).map(fromPem) : jwks.map(fromJwk)
  const usable = keys.filter((key) => key !== undefined).filter(canSeal)
  if (usable.length > 0) return usable
  throw new UsageError(`${path}: holds no public key for Ed25519 or P-256, as PEM, JWK or JWKS`)
}

function jwksOf(text: string): readonly JsonWebKey[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const { keys = [value] } = Object(value) as { readonly keys?: unknown }
    return Array.isArray(keys) ? keys.filter((key) => key !== null && typeof key === 'object') : []
  } catch {
    return undefined
  }
}

function fromPem(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem)
  } catch {
    return undefined
  }
}

function fromJwk(jwk: JsonWebKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

function canSeal({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  return type === 'ed25519' || (type === 'ec' && details?.namedCurve === 'prime256v1')
}
