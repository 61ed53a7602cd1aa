import { describe, expect, test } from 'vitest'
import { databaseStatic } from '../../src/sources/database-static.ts'
import { ldapStatic } from '../../src/sources/ldap-static.ts'
import { contextOf, failing } from '../support/contexts.ts'

const account = (ttl: unknown) => ({ data: { username: 'alice_app', password: 's3cret', ttl } })

describe.each([
  ['database-static', databaseStatic, 'database/static-creds/alice'],
  ['ldap-static', ldapStatic, 'ldap/static-cred/alice'],
] as const)('%s', (type, source, path) => {
  const role = '{principal}'

  test('reads the account of the user', async () => {
    const context = contextOf({ [path]: account(60) })
    const { value, principal } = await source({ role }).obtain(context)
    expect(value).toMatchObject({ kind: 'password', username: 'alice_app' })
    expect(value.password.reveal()).toBe('s3cret')
    expect(principal).toBe('alice_app')
    expect(context.asked).toEqual([{ how: 'read', path }])
    expect(source({ role })).toMatchObject({ type, leased: false })
  })
  test.each([
    [0, 1_000],
    [60, 61_000],
    [86_400, 300_000],
  ])('with %i s until the next rotation, it is good for %i ms from the request', async (ttl, expected) => {
    const obtained = await source({ role }).obtain(contextOf({ [path]: { ...account(ttl), sentAt: 7_000 } }))
    expect(obtained.expiresAt).toBe(7_000 + expected)
  })
  test('is good for as long as the options say at most', async () => {
    const context = contextOf({ [path]: account(86_400) })
    expect((await source({ role, maxAge: 10_000 }).obtain(context)).expiresAt).toBe(context.clock.now() + 10_000)
  })
  test.each([400, 404])('takes %i for an unknown role, and denies', async (status) => {
    await expect(source({ role }).obtain(contextOf({ [path]: status }))).rejects.toEqual(
      failing('ERR_DELEGATION_DENIED'),
    )
  })
  test.each([403, 500])('passes a refusal with %i on', async (status) => {
    await expect(source({ role }).obtain(contextOf({ [path]: status }))).rejects.toMatchObject({ status })
  })
  test.each([
    ['no data', {}],
    ['no ttl', account(undefined)],
    ['a ttl of text', account('60')],
    ['a ttl below nothing', account(-1)],
    ['a ttl beyond all bounds', account(1e300)],
    ['no password', { data: { username: 'x', ttl: 1 } }],
  ])('refuses an answer with %s', async (_, answer) => {
    await expect(source({ role }).obtain(contextOf({ [path]: answer }))).rejects.toEqual(
      failing('ERR_DELEGATION_PROTOCOL'),
    )
  })
  test.each<readonly [object, RegExp]>([
    [{ role: 'reader' }, /^"role" .*serviceAccount/],
    [{ role, maxAge: -1 }, /^"maxAge" /],
    [{ role, mount: 'a b' }, /^"mount" /],
    [{ role, path: 'x' }, /^"path" is not an option of /],
  ])('refuses %j at construction', (options, message) => {
    expect(() => source(options as never)).toThrow(TypeError)
    expect(() => source(options as never)).toThrow(message)
  })
})

test('the directory engine knows no capitals, so that nobody gets the role of a namesake', async () => {
  const context = contextOf({}, { principal: 'Alice', issuer: 'i', subject: 's' })
  await expect(ldapStatic({ role: '{principal}' }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
  expect(context.asked).toEqual([])
})
