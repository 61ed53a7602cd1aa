import { expect, test } from 'vitest'
import { failureOf, fakeEngine, never, orderFor, reportOf } from '../fixtures/fake-engine.ts'

test('a ticket is obtained, makes tokens, and is released in the process', async () => {
  const { engine } = fakeEngine()
  const alice = await engine.obtain(orderFor('alice'), { signal: never })
  const bob = await engine.obtain(orderFor('bob'), { signal: never })
  expect(alice.facts).toEqual({ client: 'alice@CORP.EXAMPLE', groups: [], forwardable: true, expiresAt: 1 })
  expect((await reportOf(bob)).tickets).toEqual([1, 2])
  await alice.release()
  expect(alice.usable).toBe(false)
  expect((await failureOf(alice.token(undefined))).kind).toBe('closed')
  expect((await reportOf(bob)).tickets).toEqual([2])
  expect(bob.usable).toBe(true)
})
