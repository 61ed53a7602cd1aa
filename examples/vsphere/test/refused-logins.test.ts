import { expect, test } from 'vitest'
import { refusedLogins } from '../src/refused-logins.ts'

test('a password is refused for a minute, of the one account', () => {
  const refused = refusedLogins()
  expect(refused.has('rita', 'wrong', 0)).toBe(false)
  refused.add('rita', 'wrong', 0)
  expect(refused.has('rita', 'wrong', 59_999)).toBe(true)
  expect(refused.has('rita', 'wrong', 60_000)).toBe(false)
  expect(refused.has('otto', 'wrong', 1)).toBe(false)
  expect(refused.has('rita', 'another', 1)).toBe(false)
})

test('of two wrong ones the last counts', () => {
  const refused = refusedLogins()
  refused.add('rita', 'wrong', 0)
  refused.add('rita', 'also wrong', 1)
  expect(refused.has('rita', 'also wrong', 2)).toBe(true)
  expect(refused.has('rita', 'wrong', 2)).toBe(false)
})
