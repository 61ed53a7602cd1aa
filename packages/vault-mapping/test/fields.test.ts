import { inspect } from 'node:util'
import { isAvailable, missing } from '@mcp-delegation/labs/vault'
import { describe, expect, test } from 'vitest'
import { fieldMapping } from '../src/fields.ts'
import { selfSigned, sshCertificate } from './support/certificates.ts'
import { ALICE, failing } from './support/contexts.ts'

const now = Date.now()
const protocol = (field: string) => failing('ERR_DELEGATION_PROTOCOL', new RegExp(`"${field}"`))

describe('a password', () => {
  test('is in the fields username and password', () => {
    const { value, principal, validUntil } = fieldMapping({})({ username: 'ann', password: 's3cret' }, ALICE, now)
    expect(value).toEqual({ kind: 'password', username: 'ann', password: expect.anything() })
    expect(value.password.reveal()).toBe('s3cret')
    expect(principal).toBe('ann')
    expect(validUntil).toBe(Number.POSITIVE_INFINITY)
    expect(Object.isFrozen(value)).toBe(true)
  })
  test('is in the fields that the options name', () => {
    const mapping = fieldMapping({ fields: { username: 'login', password: 'pass word' } })
    expect(mapping({ login: 'ann', 'pass word': 'x' }, ALICE, now).value.password.reveal()).toBe('x')
  })
  test('may have the name of a template', () => {
    const mapping = fieldMapping({ username: 'CORP\\{principal}' })
    expect(mapping({ password: 'x' }, ALICE, now)).toMatchObject({
      value: { username: 'CORP\\alice' },
      principal: 'CORP\\alice',
    })
  })
  test.each<readonly [unknown, string]>([
    [{ username: 'ann' }, 'password'],
    [{ username: 'ann', password: '' }, 'password'],
    [{ username: 'ann', password: 7 }, 'password'],
    [{ username: 'ann', password: { toString: () => 'x' } }, 'password'],
    [{ password: 'x' }, 'username'],
    [{ username: 'a\u0000b', password: 'x' }, 'username'],
    [{ username: '\u202eann', password: 'x' }, 'username'],
    [{ username: 'a'.repeat(256), password: 'x' }, 'username'],
    [Object.create({ username: 'ann', password: 'x' }), 'username'],
  ])('%j is refused by the name of a field', (data, field) => {
    expect(() => fieldMapping({})(data as never, ALICE, now)).toThrow(protocol(field))
  })
  test('is in no message about another field', () => {
    let error: unknown
    try {
      fieldMapping({})({ username: '\u0000', password: 'correct horse' }, ALICE, now)
    } catch (thrown) {
      error = thrown
    }
    expect(inspect(error)).toContain('"username"')
    expect(inspect(error)).not.toContain('horse')
  })
})

test('a token is in the field token, and tells nobody whose it is', () => {
  const { value, principal } = fieldMapping({ kind: 'bearer' })({ token: 't0ken' }, ALICE, now)
  expect(value.kind).toBe('bearer')
  expect(value.token.reveal()).toBe('t0ken')
  expect(principal).toBe('alice')
  const named = fieldMapping({ kind: 'bearer', fields: { token: 'pat' } })
  expect(named({ pat: 'x' }, ALICE, now).value.token.reveal()).toBe('x')
  expect(() => named({ token: 'x' }, ALICE, now)).toThrow(protocol('pat'))
})

describe('a certificate', () => {
  const pem = selfSigned('/CN=ann')
  const data = { certificate: pem.certificate, private_key: pem.privateKey }
  test('is in the fields that Vault itself uses, and ends when it says', () => {
    const { value, principal, validUntil } = fieldMapping({ kind: 'certificate' })(data, ALICE, now)
    expect(value).toMatchObject({ kind: 'certificate', chain: [] })
    expect(principal).toBe('ann')
    expect(validUntil).toBeGreaterThan(now)
  })
  test('may have its chain as a list or as one text', () => {
    const issuer = selfSigned('/CN=issuer').certificate
    for (const chain of [issuer, [issuer]])
      expect(fieldMapping({ kind: 'certificate' })({ ...data, ca_chain: chain }, ALICE, now).value.chain).toEqual([
        issuer.trim(),
      ])
  })
  test('without the chain that the options name is refused', () => {
    const mapping = fieldMapping({ kind: 'certificate', fields: { chain: 'issuers' } })
    expect(() => mapping(data, ALICE, now)).toThrow(protocol('issuers'))
    expect(() => mapping({ ...data, issuers: [7] }, ALICE, now)).toThrow(protocol('issuers'))
  })
  test("with another one's key, and one that has expired, is refused", () => {
    const mapping = fieldMapping({ kind: 'certificate' })
    const stolen = { ...data, private_key: selfSigned('/CN=ann').privateKey }
    expect(() => mapping(stolen, ALICE, now)).toThrow(protocol('certificate'))
    expect(() => mapping(data, ALICE, now + 3 * 86_400_000)).toThrow(failing('ERR_DELEGATION_DENIED'))
  })
})

describe.runIf(isAvailable('ssh-keygen', missing()))('an SSH certificate', () => {
  const { certificate, privateKey } = sshCertificate({ principals: 'ann', validity: '-1m:+1h' })
  const mapping = fieldMapping({ kind: 'ssh-certificate', username: '{principal}' })
  test('is in the fields certificate and private_key, and ends when it says', () => {
    const { value, principal, validUntil } = mapping({ certificate, private_key: privateKey }, ALICE, now)
    expect(value).toMatchObject({ kind: 'ssh-certificate', username: 'alice', certificate: certificate.trim() })
    expect(value.privateKey.reveal()).toBe(privateKey)
    expect(principal).toBe('alice')
    expect(Math.abs(validUntil - now - 3_600_000)).toBeLessThan(120_000)
  })
  test('that is none, or has expired, is refused', () => {
    expect(() => mapping({ certificate: 'x', private_key: privateKey }, ALICE, now)).toThrow(protocol('certificate'))
    expect(() => mapping({ certificate, private_key: privateKey }, ALICE, now + 7_200_000)).toThrow(
      failing('ERR_DELEGATION_DENIED'),
    )
  })
})

test.each<readonly [object, RegExp]>([
  [{ kind: 'kerberos' }, /^"kind" /],
  [{ kind: 'toString' }, /^"kind" /],
  [{ fields: [] }, /^"fields" /],
  [{ fields: null }, /^"fields" /],
  [{ fields: { token: 'x' } }, /^"fields\.token" /],
  [{ fields: { password: '' } }, /^"fields\.password" /],
  [{ fields: { password: 7 } }, /^"fields\.password" /],
  [{ fields: { constructor: 'x' } }, /^"fields\.constructor" /],
  [{ kind: 'bearer', username: '{principal}' }, /^"username" /],
  [{ username: 'everybody' }, /^"username" /],
  [{ username: '{principal}', fields: { username: 'login' } }, /^"fields\.username" /],
])('%j is refused at construction', (options, message) => {
  expect(() => fieldMapping(options as never)).toThrow(TypeError)
  expect(() => fieldMapping(options as never)).toThrow(message)
})
