import { describe, expect, test } from 'vitest'
import { checkScopes } from '../src/scopes.ts'

describe('checkScopes', () => {
  test('copies, freezes and drops duplicates', () => {
    const given = ['read', 'write', 'read']
    const checked = checkScopes(given, 'requiredScopes')
    given.push('admin')
    expect(checked).toEqual(['read', 'write'])
    expect(Object.isFrozen(checked)).toBe(true)
  })

  test.each(['read', ['a b'], [''], ['a"b'], ['a\\b'], ['é'], [1], ['a\nb'], ['x'.repeat(256)]])(
    'refuses %j',
    (given) => {
      expect(() => checkScopes(given, 'requiredScopes')).toThrow(
        new TypeError('"requiredScopes" must be a list of OAuth scopes'),
      )
    },
  )

  test('refuses to ask for offline_access', () => {
    expect(() => checkScopes(['offline_access'], 'scopes')).toThrow('"scopes" must not ask for offline_access')
  })
})
