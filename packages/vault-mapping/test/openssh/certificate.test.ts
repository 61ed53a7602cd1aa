import { isAvailable, missing } from '@mcp-delegation/labs/vault'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readSshCertificate } from '../../src/openssh/certificate.ts'
import { oddSshCertificate, sshCertificate } from '../support/certificates.ts'

describe.runIf(isAvailable('ssh-keygen', missing()))('a certificate by ssh-keygen', () => {
  test.each(['ed25519', 'rsa', 'ecdsa'] as const)('for a key of type %s is read', (type) => {
    const from = Math.floor(Date.now() / 60_000) * 60_000
    const { certificate } = sshCertificate({ type, principals: 'alice,bob', validity: '+0m:+5m' })
    const read = readSshCertificate(certificate)
    expect(read).toMatchObject({ type: 'user', keyId: 'the id', principals: ['alice', 'bob'] })
    expect(read?.keyType).toContain(type)
    expect(read?.validFrom).toBeGreaterThanOrEqual(from)
    expect((read?.validUntil ?? 0) - (read?.validFrom ?? 0)).toBe(300_000)
  })
  test('for a host, for everybody and for ever is read as such', () => {
    const read = readSshCertificate(sshCertificate({ host: true }).certificate)
    expect(read).toMatchObject({ type: 'host', principals: [], validFrom: 0, validUntil: 8_640_000_000_000_000 })
    expect(Number.isNaN(new Date(read?.validUntil ?? Number.NaN).getTime())).toBe(false)
  })
  test('that is cut, longer, renamed or of another type is none', () => {
    const [type = '', encoded = ''] = sshCertificate({ principals: 'alice' }).certificate.split(' ')
    const bytes = Buffer.from(encoded, 'base64')
    expect(readSshCertificate(`${type} ${encoded}`)).toBeDefined()
    for (let length = 0; length < bytes.length; length++)
      expect(readSshCertificate(`${type} ${bytes.subarray(0, length).toString('base64')}`)).toBeUndefined()
    expect(readSshCertificate(`${type} ${Buffer.concat([bytes, Buffer.of(0)]).toString('base64')}`)).toBeUndefined()
    for (const other of ['ssh-rsa-cert-v01@openssh.com', 'ssh-ed25519', 'constructor-cert-v01@openssh.com', ''])
      expect(readSshCertificate(`${other} ${encoded}`)).toBeUndefined()
    expect(readSshCertificate(`${type} ${encoded}\n${type} ${encoded}`)).toBeUndefined()
  })
})

test('whatever the text, reading it throws nothing', () => {
  const type = 'ssh-ed25519-cert-v01@openssh.com'
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.uint8Array().map((bytes) => `${type} ${Buffer.from(bytes).toString('base64')}`),
      ),
      (text) => {
        expect(readSshCertificate(text)).toBeUndefined()
      },
    ),
  )
})

test('the type is the same without and within', () => {
  const [rsa, ecdsa] = ['ssh-rsa-cert-v01@openssh.com', 'ecdsa-sha2-nistp256-cert-v01@openssh.com']
  const key = [Buffer.alloc(3), Buffer.alloc(9)]
  expect(readSshCertificate(oddSshCertificate(rsa, rsa, key, ['a']))).toMatchObject({ principals: ['a'] })
  expect(readSshCertificate(oddSshCertificate(rsa, ecdsa, key, ['a']))).toBeUndefined()
})
