import { generateKeyPairSync, webcrypto } from 'node:crypto'
import { type FileAuditOptions, fileAudit, fileCheckpoints } from '@mcp-delegation/core'
import { verifyAuditLog } from '@mcp-delegation/core/audit'
import { expect, test } from 'vitest'
import { folder, issued, keys } from './audit-log/support.ts'

const { publicKey, privateKey } = keys
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

test.each<[object, string]>([
  [{ size: 1 }, '"options" has no member size'],
  [{ maxSize: 65_535 }, '"maxSize"'],
  [{ maxAge: 0 }, '"maxAge"'],
  [{ maxSize: 65_536, keep: 0 }, '"keep"'],
  [{ keep: 3 }, '"keep"'],
  [{ fsync: 'yes' }, '"fsync"'],
  [{ maxQueued: 1 }, '"maxQueued"'],
  [{ log: {} }, '"log"'],
  [{ clock: {} }, '"clock"'],
  [{ repeats: { window: 0 } }, '"repeats.window"'],
  [{ repeats: { kinds: 0 } }, '"repeats.kinds"'],
  [{ repeats: { user: 1 } }, '"repeats" has no member user'],
  [{ seal: {} }, '"seal.key"'],
  [{ seal: { key: publicKey } }, '"seal.key"'],
  [{ seal: { key: rsa } }, '"seal.key"'],
  [{ seal: { key: 'no PEM' } }, '"seal.key"'],
  [{ seal: { key: privateKey, keyId: '' } }, '"seal.keyId"'],
  [{ seal: { key: privateKey, previousKeys: [rsa] } }, '"seal.previousKeys[0]"'],
  [{ seal: { key: privateKey, records: 0 } }, '"seal.records"'],
  [{ seal: { key: privateKey, interval: 0 } }, '"seal.interval"'],
  [{ seal: { key: privateKey, witness: '/x' } }, '"seal.witness"'],
  [{ seal: { key: privateKey, maxUnwitnessed: 0 } }, '"seal.maxUnwitnessed"'],
])('%j is a TypeError', (options, message) => {
  const make = (): unknown => fileAudit('/tmp/audit.jsonl', options as FileAuditOptions)
  expect(make).toThrow(TypeError)
  expect(make).toThrow(message)
})

test('a secret is not in the error about a wrong key', () => {
  const { d, ...rest } = privateKey.export({ format: 'jwk' })
  const make = (): unknown => fileAudit('/tmp/audit.jsonl', { seal: { key: { ...rest, d: `${d}!`, kty: 'XXX' } } })
  expect(make).toThrow(TypeError)
  expect(make).not.toThrow(d)
  expect(() => fileCheckpoints('checkpoints')).toThrow(TypeError)
})

test('a key may be a KeyObject, PEM, a JWK or a CryptoKey, Ed25519 or P-256', async () => {
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pair = (await webcrypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const given = [
    [privateKey, publicKey],
    [pem, publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    [privateKey.export({ format: 'jwk' }), publicKey.export({ format: 'jwk' })],
    [p256.privateKey, p256.publicKey],
    [pair.privateKey, pair.publicKey],
  ] as const
  for (const [key, verifying] of given) {
    using place = folder()
    const audit = fileAudit(place.log, { seal: { key, keyId: 'the key' } })
    await audit(issued('alice'))
    await audit[Symbol.asyncDispose]()
    const report = await verifyAuditLog({ files: [place.log], keys: [verifying] })
    expect(report).toMatchObject({ ok: true, unsealed: 0, sealed: { seq: 2, keyId: 'the key' } })
  }
})
