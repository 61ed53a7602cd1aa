import { describe, expect, test } from 'vitest'
import { database } from '../../src/sources/database.ts'
import { ldapDynamic } from '../../src/sources/ldap-dynamic.ts'
import { contextOf, failing } from '../support/contexts.ts'

const leased = { leaseId: 'database/creds/reader/abc', renewable: true, leaseDuration: 60_000 }
const user = { ...leased, data: { username: 'v-alice-1', password: 's3cret' } }

describe.each([
  ['database', database, 'database/creds/'],
  ['ldap-dynamic', ldapDynamic, 'ldap/creds/'],
] as const)('%s', (type, source, prefix) => {
  const shared = source({ role: 'reader' })
  const own = source({ role: '{principal}-reader' })

  test('has an account made that ends with its lease', async () => {
    const context = contextOf({ [`${prefix}reader`]: user })
    const obtained = await shared.obtain(context)
    expect(obtained.value).toMatchObject({ kind: 'password', username: 'v-alice-1' })
    expect(obtained.value.password.reveal()).toBe('s3cret')
    expect(obtained.principal).toBe('v-alice-1')
    expect(obtained.expiresAt).toBe(context.clock.now() + 60_000)
    expect(context.asked).toEqual([{ how: 'make', path: `${prefix}reader` }])
    expect(shared).toMatchObject({ type, leased: true })
  })
  test('asks for the role of the user', async () => {
    await own.obtain(contextOf({ [`${prefix}alice-reader`]: user }))
  })
  test.each([400, 404])('takes %i for an unknown role: of the user, or of the options', async (status) => {
    await expect(own.obtain(contextOf({ [`${prefix}alice-reader`]: status }))).rejects.toEqual(
      failing('ERR_DELEGATION_DENIED'),
    )
    await expect(shared.obtain(contextOf({ [`${prefix}reader`]: status }))).rejects.toEqual(
      failing('ERR_DELEGATION_PROTOCOL'),
    )
  })
  test.each([403, 500, 429, 503])('passes a refusal with %i on', async (status) => {
    await expect(own.obtain(contextOf({ [`${prefix}alice-reader`]: status }))).rejects.toMatchObject({
      name: 'VaultError',
      status,
    })
  })
  test.each([
    ['without a lease', { data: user.data }],
    ['without data', leased],
    ['without a password', { ...leased, data: { username: 'x' } }],
    ['with an empty password', { ...leased, data: { username: 'x', password: '' } }],
    ['without a name', { ...leased, data: { password: 'x' } }],
    ['with a name of more than 255 bytes', { ...leased, data: { username: 'ä'.repeat(128), password: 'x' } }],
    ['with a name that hides something', { ...leased, data: { username: 'a\u200bb', password: 'x' } }],
    ['with a name in two lines', { ...leased, data: { username: 'a\nb', password: 'x' } }],
  ])('refuses an answer %s', async (_, answer) => {
    await expect(shared.obtain(contextOf({ [`${prefix}reader`]: answer }))).rejects.toEqual(
      failing('ERR_DELEGATION_PROTOCOL'),
    )
  })
  test('refuses a user whose name no role can have, before anything is asked', async () => {
    for (const principal of ['ann@corp.example', '../bob', 'a:b']) {
      const context = contextOf({}, { principal, issuer: 'i', subject: 's' })
      await expect(own.obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
      expect(context.asked).toEqual([])
    }
  })
  test.each<readonly [object, RegExp]>([
    [{}, /^"role" /],
    [{ role: 'a/b' }, /^"role" /],
    [{ role: 'reader', mount: '' }, /^"mount" /],
    [{ role: 'reader', ttl: 5 }, /^"ttl" is not an option of /],
  ])('refuses %j at construction', (options, message) => {
    expect(() => source(options as never)).toThrow(TypeError)
    expect(() => source(options as never)).toThrow(message)
  })
})

test('the directory engine knows no capitals, so that nobody gets the role of a namesake', async () => {
  const context = contextOf({}, { principal: 'Alice', issuer: 'i', subject: 's' })
  await expect(ldapDynamic({ role: '{principal}' }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
  expect(() => ldapDynamic({ role: 'Readers' })).toThrow(/^"role" /)
  const kept = contextOf({ 'database/creds/Alice': user }, context.who)
  await expect(database({ role: '{principal}' }).obtain(kept)).resolves.toMatchObject({ principal: 'v-alice-1' })
})
