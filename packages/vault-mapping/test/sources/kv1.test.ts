import { expect, test } from 'vitest'
import { kv1 } from '../../src/sources/kv1.ts'
import { contextOf, failing, unhandled } from '../support/contexts.ts'

const path = 'users/{principal}/vcenter'
const [DATA, MOUNT] = ['kv/users/alice/vcenter', 'sys/internal/ui/mounts/kv']
const mounted = (options: unknown) => ({ data: { type: 'kv', path: 'kv/', options } })

test('a secret is read, and good for five minutes', async () => {
  const context = contextOf({ [DATA]: { data: { username: 'ann', password: 's3cret' } } })
  const { value, principal, expiresAt } = await kv1({ path }).obtain(context)
  expect(value.password.reveal()).toBe('s3cret')
  expect(principal).toBe('ann')
  expect(expiresAt).toBe(context.clock.now() + 300_000)
  expect(context.asked).toEqual([{ how: 'read', path: DATA }])
})

test('a secret that is not there may have been deleted: it is denied, unless the administrator says otherwise', async () => {
  for (const options of [{ version: '1' }, null, {}]) {
    const answers = { [DATA]: () => 404, [MOUNT]: () => mounted(options) }
    await expect(kv1({ path }).obtain(contextOf(answers))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
    await expect(kv1({ path, missing: 'no-identity' }).obtain(contextOf(answers))).rejects.toEqual(
      failing('ERR_DELEGATION_NO_IDENTITY'),
    )
  }
})

test('a mount of another kind is a matter for the operator', async () => {
  for (const mount of [mounted({ version: '2' }), { data: { type: 'cubbyhole', path: 'kv/' } }])
    await expect(
      kv1({ path, missing: 'no-identity' }).obtain(contextOf({ [DATA]: 404, [MOUNT]: mount })),
    ).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
})

test('a reason that the server gives for a 404 is no "no identity"', async () => {
  const answers = { [DATA]: unhandled(), [MOUNT]: mounted({ version: '1' }) }
  await expect(kv1({ path, missing: 'no-identity' }).obtain(contextOf(answers))).rejects.toMatchObject({ status: 404 })
})

test.each([403, 500])('a refusal with %i is passed on', async (status) => {
  await expect(kv1({ path }).obtain(contextOf({ [DATA]: status }))).rejects.toMatchObject({ status })
})

test('an answer without data, or without a field, is refused', async () => {
  for (const answer of [{}, { data: { username: 'ann' } }])
    await expect(kv1({ path }).obtain(contextOf({ [DATA]: answer }))).rejects.toEqual(
      failing('ERR_DELEGATION_PROTOCOL'),
    )
})

test.each<readonly [object, RegExp]>([
  [{ path: 'all' }, /^"path" /],
  [{ path, missing: 'maybe' }, /^"missing" /],
  [{ path, version: 1 }, /^"version" is not an option of kv1/],
  [{ path, maxAge: '5' }, /^"maxAge" /],
])('%j is refused at construction', (options, message) => {
  expect(() => kv1(options as never)).toThrow(TypeError)
  expect(() => kv1(options as never)).toThrow(message)
})
