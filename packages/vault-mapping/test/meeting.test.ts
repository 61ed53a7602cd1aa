import fc from 'fast-check'
import { expect, test } from 'vitest'
import { templatesMeet } from '../src/meeting.ts'
import { pathTemplate } from '../src/paths.ts'

const template = (path: string) => pathTemplate(path, 'path', 'optional')

test.each([
  ['{principal}', '{principal}-admin'],
  ['admin-{principal}', '{principal}'],
  ['a-{principal}', '{principal}-b'],
  ['{principal}', '{identity}'],
  ['{principal}', 'readonly'],
  ['users/{principal}', '{principal}/vcenter'],
  ['users/{principal}/x', 'users/y/{principal}'],
])('%s and %s can be the same for two users', (one, other) => {
  expect(templatesMeet(template(one), template(other))).toBe(true)
  expect(templatesMeet(template(other), template(one))).toBe(true)
})

test.each([
  ['{principal}', '{principal}'],
  ['users/{principal}/vcenter', 'users/{principal}/vcenter'],
  ['users/{principal}/vcenter', 'users/{principal}/git'],
  ['users/{principal}', 'admins/{principal}'],
  ['users/{principal}', 'users/{principal}/vcenter'],
  ['{principal}-billing', '{principal}-reports'],
  ['billing-{principal}', 'reports-{principal}'],
  ['{principal}-billing', 'readonly'],
  ['readonly', 'readonly'],
  ['users/{principal}/{identity}', 'users/{principal}/x-{identity}'],
])('%s and %s never are', (one, other) => {
  expect(templatesMeet(template(one), template(other))).toBe(false)
  expect(templatesMeet(template(other), template(one))).toBe(false)
})

test('where the rule says never, no two users get one text', () => {
  const word = fc.constantFrom('', 'a', 'b', '-a', 'a-', 'ab', '-')
  const segment = fc.oneof(
    fc.constantFrom('a', 'b', 'ab', 'a-a'),
    fc.tuple(word, word).map(([before, after]) => `${before}{principal}${after}`),
  )
  const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'))
  const user = fc.constantFrom('a', 'b', 'ab', 'a-a', 'a-b', 'b-a', 'aa')
  const who = (principal: string) => ({ principal, issuer: 'i', subject: principal })
  fc.assert(
    fc.property(path, path, user, user, (one, other, alice, bob) => {
      fc.pre(alice !== bob)
      const [a, b] = [template(one), template(other)]
      fc.pre(a.perUser && b.perUser && !templatesMeet(a, b))
      return a.fill(who(alice)) !== b.fill(who(bob))
    }),
    { numRuns: 5_000 },
  )
})
