import { describe, expect, test } from 'vitest'
import { isScope, scopeHierarchy, scopeList } from '../src/scopes.ts'

describe('scopeHierarchy', () => {
  const covers = (includes: Record<string, string[]>, granted: string[], required: string[]): boolean =>
    scopeHierarchy(includes).covers(new Set(granted), required)

  test('without one a scope includes itself alone', () => {
    expect(scopeHierarchy().covers(new Set(['read']), ['read'])).toBe(true)
    expect(scopeHierarchy().covers(new Set(['read']), ['write'])).toBe(false)
    expect(scopeHierarchy().covers(new Set(), [])).toBe(true)
  })

  test('a wider scope covers what it includes, and not the other way round', () => {
    expect(covers({ write: ['read'] }, ['write'], ['read'])).toBe(true)
    expect(covers({ write: ['read'] }, ['read'], ['write'])).toBe(false)
  })

  test('inclusion is transitive', () => {
    const includes = { admin: ['write'], write: ['read'], read: ['list'] }
    expect(covers(includes, ['admin'], ['list', 'write'])).toBe(true)
    expect(covers(includes, ['write'], ['admin'])).toBe(false)
  })

  test('a cycle makes its members equal and ends', () => {
    const includes = { a: ['b'], b: ['c'], c: ['a'] }
    for (const granted of ['a', 'b', 'c']) expect(covers(includes, [granted], ['a', 'b', 'c'])).toBe(true)
    expect(covers({ a: ['a'] }, ['b'], ['a'])).toBe(false)
  })

  test('every required scope must be covered', () => {
    expect(covers({ write: ['read'] }, ['write'], ['read', 'delete'])).toBe(false)
  })

  test('the names of Object.prototype are no scopes that anybody has', () => {
    expect(covers({ write: ['read'] }, ['write'], ['constructor'])).toBe(false)
    expect(covers({ write: ['read'] }, ['write'], ['__proto__'])).toBe(false)
  })

  test.each([null, [], 'read', { 'two words': ['read'] }, { write: 'read' }, { write: ['a b'] }])(
    'refuses %j',
    (includes) => {
      expect(() => scopeHierarchy(includes as never)).toThrow(/^"scopeHierarchy/)
    },
  )
})

test('scopeList copies, freezes and drops duplicates', () => {
  const given = ['read', 'write', 'read']
  const checked = scopeList(given, 'scopes')
  given.push('admin')
  expect(checked).toEqual(['read', 'write'])
  expect(Object.isFrozen(checked)).toBe(true)
})

test('isScope knows the grammar', () => {
  expect(isScope('https://graph.example/Mail.Read')).toBe(true)
  expect(isScope('!#[]~')).toBe(true)
  expect(isScope('a b')).toBe(false)
  expect(isScope(undefined)).toBe(false)
})
