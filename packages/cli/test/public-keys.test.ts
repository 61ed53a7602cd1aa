import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { publicKeysIn } from '../src/public-keys.ts'
import { scratch } from './support.ts'

const ed25519 = generateKeyPairSync('ed25519')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = ({ publicKey }: typeof ed25519): string => publicKey.export({ type: 'spki', format: 'pem' }).toString()
const jwk = ({ publicKey }: typeof ed25519): object => publicKey.export({ format: 'jwk' })
const privateJwk = ed25519.privateKey.export({ format: 'jwk' })
const privatePem = ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

function file(content: string | object): string {
  const path = join(scratch(), 'keys')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

test.each([
  ['PEM', pem(ed25519), [jwk(ed25519)]],
  ['PEM with two keys', `first:\n${pem(p256)}\n${pem(ed25519)}`, [jwk(p256), jwk(ed25519)]],
  ['a JWK', { ...jwk(ed25519), kid: 'one' }, [jwk(ed25519)]],
  ['a JWKS', { keys: [jwk(ed25519), jwk(p256)] }, [jwk(ed25519), jwk(p256)]],
  ['a JWKS with others', { keys: [jwk(rsa), null, 'x', { kty: 'new' }, jwk(p256)] }, [jwk(p256)]],
])('%s is read', async (_, content, keys) => {
  expect((await publicKeysIn(file(content))).map((key) => key.export({ format: 'jwk' }))).toEqual(keys)
})

test.each([
  ['PEM', privatePem],
  ['a JWK', privateJwk],
  ['a JWKS', { keys: [jwk(p256), privateJwk] }],
  ['a symmetric JWK', { kty: 'oct', k: 'c2VjcmV0' }],
  ['PEM next to a public one', pem(ed25519) + privatePem],
])('a private key is refused: %s', async (_, content) => {
  const path = file(content)
  const error = await publicKeysIn(path).catch((caught: unknown) => String(caught))
  expect(error).toBe(`UsageError: ${path}: holds a private key: only its public part belongs here`)
})

test.each([
  '',
  'text',
  '{}',
  '[]',
  'null',
  '1',
  '{"keys":{}}',
  '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
  JSON.stringify(jwk(rsa)),
  pem(rsa),
])('%j holds no key', async (content) => {
  await expect(publicKeysIn(file(content))).rejects.toThrow('holds no public key for Ed25519 or P-256')
})

test('a file that is not there is told', async () => {
  await expect(publicKeysIn('/nowhere/key.pem')).rejects.toThrow('/nowhere/key.pem: no such file')
})
