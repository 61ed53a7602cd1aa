import { expect, test } from 'vitest'
import { ldapLibrary } from '../../src/sources/ldap-library.ts'
import { contextOf, failing } from '../support/contexts.ts'

const [OUT, STATUS] = ['ldap/library/pool/check-out', 'ldap/library/pool/status']
const lent = {
  leaseId: 'ldap/library/pool/check-out/abc',
  renewable: true,
  leaseDuration: 60_000,
  data: { service_account_name: 'svc-1', password: 's3cret' },
}
const source = ldapLibrary({ set: 'pool' })

test('an account is lent for as long as its lease', async () => {
  const context = contextOf({ [OUT]: lent })
  const { value, principal, expiresAt } = await source.obtain(context)
  expect(value).toMatchObject({ kind: 'password', username: 'svc-1' })
  expect(value.password.reveal()).toBe('s3cret')
  expect(principal).toBe('svc-1')
  expect(expiresAt).toBe(context.clock.now() + 60_000)
  expect(context.asked).toEqual([{ how: 'make', path: OUT, body: {} }])
  expect(source).toMatchObject({ type: 'ldap-library', leased: true })
})

test('the time is an option', async () => {
  const context = contextOf({ [OUT]: lent })
  await ldapLibrary({ set: 'pool', ttl: 90_001 }).obtain(context)
  expect(context.asked).toEqual([{ how: 'make', path: OUT, body: { ttl: '91s' } }])
})

test('where all accounts are lent, the caller may ask again later', async () => {
  for (const status of [{ data: { 'svc-1': { available: false } } }, 403, 500])
    await expect(source.obtain(contextOf({ [OUT]: 400, [STATUS]: status }))).rejects.toEqual(
      failing('ERR_DELEGATION_UNAVAILABLE'),
    )
})

test('an unknown set is a matter for the operator, and of the user a refusal', async () => {
  await expect(source.obtain(contextOf({ [OUT]: 400, [STATUS]: 400 }))).rejects.toEqual(
    failing('ERR_DELEGATION_PROTOCOL'),
  )
  const answers = { 'ldap/library/alice/check-out': 400, 'ldap/library/alice/status': 400 }
  await expect(ldapLibrary({ set: '{principal}' }).obtain(contextOf(answers))).rejects.toEqual(
    failing('ERR_DELEGATION_DENIED'),
  )
})

test.each([403, 500])('a refusal with %i is passed on', async (status) => {
  await expect(source.obtain(contextOf({ [OUT]: status }))).rejects.toMatchObject({ name: 'VaultError', status })
})

test.each([
  ['without a lease', { data: lent.data }],
  ['without a name', { ...lent, data: { password: 'x' } }],
  ['without a password', { ...lent, data: { service_account_name: 'svc-1' } }],
])('an answer %s is refused', async (_, answer) => {
  await expect(source.obtain(contextOf({ [OUT]: answer }))).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
})

test.each<readonly [object, RegExp]>([
  [{}, /^"set" /],
  [{ set: 'Pool' }, /^"set" /],
  [{ set: 'pool', ttl: 500 }, /^"ttl" /],
  [{ set: 'pool', ttl: Number.POSITIVE_INFINITY }, /^"ttl" /],
  [{ set: 'pool', role: 'x' }, /^"role" is not an option of ldapLibrary/],
])('%j is refused at construction', (options, message) => {
  expect(() => ldapLibrary(options as never)).toThrow(TypeError)
  expect(() => ldapLibrary(options as never)).toThrow(message)
})
