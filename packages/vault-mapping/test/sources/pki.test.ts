import { describe, expect, test } from 'vitest'
import { pki } from '../../src/sources/pki.ts'
import { selfSigned } from '../support/certificates.ts'
import { contextOf, failing } from '../support/contexts.ts'

const options = { role: 'users', commonName: '{principal}@corp.example' }
const PATH = 'pki/issue/users'
const alice = selfSigned('/CN=alice@corp.example')
const issuers = [selfSigned('/CN=nearest'), selfSigned('/CN=root')].map(({ certificate }) => certificate.trim())
const issued = {
  certificate: alice.certificate.trim(),
  private_key: alice.privateKey.trim(),
  issuing_ca: issuers[0],
  ca_chain: issuers,
}

describe('an issued certificate', () => {
  test('is of the common name, with its key and its issuers, until it ends', async () => {
    const context = contextOf({ [PATH]: { data: issued } })
    const { value, principal, expiresAt } = await pki(options).obtain(context)
    expect(value).toMatchObject({ kind: 'certificate', certificate: issued.certificate, chain: issuers })
    expect(value.privateKey.reveal()).toBe(issued.private_key)
    expect(principal).toBe('alice@corp.example')
    expect(expiresAt - Date.now()).toBeGreaterThan(86_400_000)
    expect(context.asked).toEqual([{ how: 'make', path: PATH, body: { common_name: 'alice@corp.example' } }])
  })
  test('has the nearest issuer where there is no chain', async () => {
    for (const chain of [null, [], [7], undefined]) {
      const data = { ...issued, ca_chain: chain }
      const { value } = await pki(options).obtain(contextOf({ [PATH]: { data } }))
      expect(value.chain).toEqual([issuers[0]])
    }
  })
  test('has the other names and the time of the options', async () => {
    const context = contextOf({ [PATH]: { data: issued } })
    await pki({
      ...options,
      altNames: ['{principal}.users.example', '{identity}@corp.example'],
      uriSans: ['spiffe://corp.example/user/{principal}'],
      ttl: 60_000,
    }).obtain(context)
    expect(context.asked[0]?.body).toEqual({
      common_name: 'alice@corp.example',
      alt_names: expect.stringMatching(/^alice\.users\.example,[0-9a-f]{64}@corp\.example$/),
      uri_sans: 'spiffe://corp.example/user/alice',
      ttl: '60s',
    })
  })
  test.each([
    ['of somebody else', selfSigned('/CN=bob@corp.example')],
    ['of nobody', selfSigned('/O=corp')],
    ['with the key of another one', { ...selfSigned('/CN=bob'), certificate: alice.certificate }],
    ['without a key', { ...alice, privateKey: '' }],
    ['that is none', { ...alice, certificate: 'x' }],
  ])('%s is refused', async (_, { certificate, privateKey }) => {
    const data = { ...issued, certificate, private_key: privateKey }
    await expect(pki(options).obtain(contextOf({ [PATH]: { data } }))).rejects.toEqual(
      failing('ERR_DELEGATION_PROTOCOL'),
    )
  })
  test('that has ended is refused', async () => {
    const context = contextOf({ [PATH]: { data: issued } })
    context.clock.tick(3 * 86_400_000)
    await expect(pki(options).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
  })
})

test('a role that refuses, or is unknown, denies', async () => {
  await expect(pki(options).obtain(contextOf({ [PATH]: 400 }))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
})

test.each([403, 404, 500])('a refusal with %i is passed on', async (status) => {
  await expect(pki(options).obtain(contextOf({ [PATH]: status }))).rejects.toMatchObject({ status })
})

test('a user whose name would be two names is denied before anything is asked', async () => {
  const context = contextOf({}, { principal: 'bob,root', issuer: 'i', subject: 's' })
  await expect(pki({ ...options, altNames: ['{principal}'] }).obtain(context)).rejects.toEqual(
    failing('ERR_DELEGATION_DENIED'),
  )
  expect(context.asked).toEqual([])
})

test.each<readonly [object, RegExp]>([
  [{ commonName: '{principal}' }, /^"role" /],
  [{ role: 'users' }, /^"commonName" /],
  [{ role: 'users', commonName: 'everybody' }, /^"commonName" /],
  [{ role: 'users', commonName: '{principal},x' }, /^"commonName" /],
  [{ ...options, altNames: '{principal}' }, /^"altNames" /],
  [{ ...options, altNames: ['{principal}', 'www.example'] }, /^"altNames\[1\]" /],
  [{ ...options, altNames: ['a,{principal}'] }, /^"altNames\[0\]" /],
  [{ ...options, uriSans: ['spiffe://a,b/{principal}'] }, /^"uriSans\[0\]" /],
  [{ ...options, ttl: '5m' }, /^"ttl" /],
  [{ ...options, cn: 'x' }, /^"cn" is not an option of pki/],
])('%j is refused at construction', (given, message) => {
  expect(() => pki(given as never)).toThrow(TypeError)
  expect(() => pki(given as never)).toThrow(message)
})
