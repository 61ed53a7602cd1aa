import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { readCertificate } from '../src/certificates.ts'
import { selfSigned } from './support/certificates.ts'

const alice = selfSigned('/O=example/CN=alice')
const other = selfSigned('/CN=other')

test('a certificate with its key and its issuers is read', () => {
  const texts = { ...alice, chain: [`${other.certificate}\n${alice.certificate}`, other.certificate] }
  const read = readCertificate(texts)
  expect(read?.commonName).toBe('alice')
  expect(read?.value).toMatchObject({ kind: 'certificate', certificate: alice.certificate.trim() })
  expect(read?.value.chain).toEqual([other, alice, other].map(({ certificate }) => certificate.trim()))
  expect(read?.value.privateKey.reveal()).toBe(alice.privateKey)
  expect((read?.validUntil ?? 0) - Date.now()).toBeGreaterThan(86_400_000)
  expect(inspect(read?.value)).not.toContain(alice.privateKey.split('\n')[1])
})

test('issuers behind the certificate are part of its chain', () => {
  const read = readCertificate({ ...alice, certificate: alice.certificate + other.certificate, chain: [] })
  expect(read?.value).toMatchObject({ certificate: alice.certificate.trim(), chain: [other.certificate.trim()] })
})

test('a key of another certificate, and what is no certificate or key, is refused', () => {
  const broken = alice.certificate.replace(/[A-Za-z]{20}/, 'A'.repeat(20))
  for (const texts of [
    { ...alice, privateKey: other.privateKey },
    { ...alice, privateKey: 'none' },
    { ...alice, certificate: '' },
    { ...alice, certificate: broken },
    { ...alice, chain: [broken] },
  ])
    expect(readCertificate({ chain: [], ...texts })).toBeUndefined()
})

test('a subject with no common name, or with two, has none', () => {
  for (const subject of ['/O=example', '/CN=alice/CN=bob'])
    expect(readCertificate({ ...selfSigned(subject), chain: [] })?.commonName).toBeUndefined()
  expect(readCertificate({ ...selfSigned('/O=CN=bob/CN=alice'), chain: [] })?.commonName).toBe('alice')
})
