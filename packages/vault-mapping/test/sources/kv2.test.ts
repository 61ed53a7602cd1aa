import { describe, expect, test } from 'vitest'
import { kv2 } from '../../src/sources/kv2.ts'
import { contextOf, deleted, failing, unhandled } from '../support/contexts.ts'

const path = 'users/{principal}/vcenter'
const [DATA, METADATA, MOUNT] = [
  'secret/data/users/alice/vcenter',
  'secret/metadata/users/alice/vcenter',
  'sys/internal/ui/mounts/secret',
]
const mounted = { data: { type: 'kv', path: 'secret/', options: { version: '2' } } }
const stored = (data: unknown, version: unknown = 3) => ({ data: { data, metadata: { version } } })
const account = stored({ username: 'ann', password: 's3cret' })

test('a secret is read, and good for five minutes', async () => {
  const context = contextOf({ [DATA]: account })
  const { value, principal, expiresAt } = await kv2({ path }).obtain(context)
  expect(value).toMatchObject({ kind: 'password', username: 'ann' })
  expect(value.password.reveal()).toBe('s3cret')
  expect(principal).toBe('ann')
  expect(expiresAt).toBe(context.clock.now() + 300_000)
  expect(context.asked).toEqual([{ how: 'read', path: DATA }])
})

test('the time that a secret is good for counts from the request, and is an option', async () => {
  const context = contextOf({ [DATA]: { ...account, sentAt: 5_000 } })
  expect((await kv2({ path, maxAge: 1_500 }).obtain(context)).expiresAt).toBe(6_500)
})

test('a fixed version is asked for, and no other one taken', async () => {
  const context = contextOf({ [DATA]: [account, stored({ username: 'ann', password: 'x' }, 4)] })
  const source = kv2({ path, version: 3 })
  await source.obtain(context)
  expect(context.asked).toEqual([{ how: 'read', path: DATA, query: { version: '3' } }])
  await expect(source.obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
})

test('the mount and the kind are options', async () => {
  const context = contextOf({ 'team/kv/data/alice': stored({ pat: 'x' }) })
  const source = kv2({ mount: 'team/kv', path: '{principal}', kind: 'bearer', fields: { token: 'pat' } })
  expect((await source.obtain(context)).value.token.reveal()).toBe('x')
})

describe('a secret that is not there', () => {
  test('and never was is no identity', async () => {
    const context = contextOf({ [DATA]: 404, [METADATA]: 404, [MOUNT]: mounted })
    await expect(kv2({ path }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_NO_IDENTITY'))
    expect(context.asked.map((asked) => asked.path)).toEqual([DATA, METADATA, MOUNT])
  })
  test('but was deleted is denied', async () => {
    const context = contextOf({ [DATA]: deleted(), [METADATA]: 404, [MOUNT]: mounted })
    await expect(kv2({ path }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
    expect(context.asked).toHaveLength(1)
  })
  test('but has metadata is denied', async () => {
    const context = contextOf({ [DATA]: 404, [METADATA]: { data: {} }, [MOUNT]: mounted })
    await expect(kv2({ path }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
  })
  test.each([403, 500, 429])('is what the server says where the metadata is answered with %i', async (status) => {
    const context = contextOf({ [DATA]: 404, [METADATA]: status, [MOUNT]: mounted })
    await expect(kv2({ path }).obtain(context)).rejects.toMatchObject({ name: 'VaultError', status })
  })
  test.each([
    ['of version 1', { type: 'kv', path: 'secret/', options: { version: '1' } }],
    ['of version 1, without saying so', { type: 'kv', path: 'secret/', options: null }],
    ['of another engine', { type: 'cubbyhole', path: 'secret/', options: { version: '2' } }],
    ['that is not the one of the option', { type: 'kv', path: 'sec/', options: { version: '2' } }],
    ['that is not described', {}],
  ])('in a mount %s is a matter for the operator', async (_, data) => {
    const context = contextOf({ [DATA]: 404, [METADATA]: 404, [MOUNT]: { data } })
    await expect(kv2({ path }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
  })
  test('in a mount that nobody may look at is no "no identity"', async () => {
    const context = contextOf({ [DATA]: 404, [METADATA]: 404, [MOUNT]: 403 })
    await expect(kv2({ path }).obtain(context)).rejects.toMatchObject({ name: 'VaultError', status: 403 })
  })
  test('has its mount looked at each time: a minute ago it may have been another', async () => {
    const source = kv2({ path })
    const again = { data: { ...mounted.data, options: { version: '1' } } }
    const context = contextOf({ [DATA]: () => 404, [METADATA]: () => 404, [MOUNT]: [mounted, again] })
    await expect(source.obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_NO_IDENTITY'))
    await expect(source.obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
  })
  test.each([
    ['the path', unhandled(), 404],
    ['the metadata', 404, unhandled()],
    ['the metadata, which is deleted', 404, deleted()],
  ])('is no "no identity" where the server gives a reason for %s', async (_, data, metadata) => {
    const context = contextOf({ [DATA]: data, [METADATA]: metadata, [MOUNT]: mounted })
    await expect(kv2({ path }).obtain(context)).rejects.toMatchObject({ name: 'VaultError', status: 404 })
  })
})

test.each([
  ['without data', {}],
  ['as version 1 does', { data: { username: 'ann', password: 'x' } }],
  ['as version 1 does, of a secret with such names', { data: { data: { username: 'ann', password: 'x' } } }],
  ['with a list', stored([1])],
  ['without a secret', stored(null)],
  ['without a field', stored({ username: 'ann' })],
])('an answer %s is refused', async (_, answer) => {
  await expect(kv2({ path }).obtain(contextOf({ [DATA]: answer }))).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
})

test('an engine that is not ready is an outage', async () => {
  const context = contextOf({ [DATA]: 400 })
  await expect(kv2({ path: 'users/{principal}/vcenter' }).obtain(context)).rejects.toEqual(
    failing('ERR_DELEGATION_UNAVAILABLE'),
  )
})

test.each([403, 500])('a refusal with %i is passed on', async (status) => {
  await expect(kv2({ path }).obtain(contextOf({ [DATA]: status }))).rejects.toMatchObject({
    name: 'VaultError',
    status,
  })
})

test('a user whose name no path can hold is denied before anything is asked', async () => {
  const context = contextOf({}, { principal: '../bob', issuer: 'i', subject: 's' })
  await expect(kv2({ path }).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
  expect(context.asked).toEqual([])
})

test.each<readonly [object, RegExp]>([
  [{}, /^"path" /],
  [{ path: 'users/all' }, /^"path" .*serviceAccount/],
  [{ path, mount: '/secret' }, /^"mount" /],
  [{ path, version: 0 }, /^"version" /],
  [{ path, version: 1.5 }, /^"version" /],
  [{ path, maxAge: 0 }, /^"maxAge" /],
  [{ path, maxAge: Number.NaN }, /^"maxAge" /],
  [{ path, maxage: 5 }, /^"maxage" is not an option of kv2/],
  [{ path, kind: 'x' }, /^"kind" /],
])('%j is refused at construction', (options, message) => {
  expect(() => kv2(options as never)).toThrow(TypeError)
  expect(() => kv2(options as never)).toThrow(message)
})
