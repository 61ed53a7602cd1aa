import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isRequestPath, isRequestQuery, queryOf, shownPath } from '../src/request-path.ts'

test('Plain segments are sent as they stand', () => {
  for (const path of [
    'secret/data/users/alice',
    'auth/jwt/login',
    'kv/a.b@c',
    'kv/auth0|a:b=c~d',
    'database/creds/a_b-c',
    'x',
    'kv/..a',
  ])
    expect([path, isRequestPath(path)]).toEqual([path, true])
})

test('What HTTP, the router or a policy gives a meaning to is not sent', () => {
  const hostile = [
    '..',
    '.',
    '...',
    '',
    'a%2fb',
    '%2e%2e',
    'a?b',
    'a#b',
    'a\\b',
    '+',
    'a+b',
    '*',
    'a*',
    'a b',
    'a;b',
    'é',
    'a\0',
  ]
  for (const segment of [...hostile, 'a\n', '{{x}}', 'a"b', '․․', '／'])
    expect([segment, isRequestPath(`kv/${segment}/vcenter`)]).toEqual([segment, false])
  for (const path of ['', '/', '/kv/a', 'kv/a/', 'kv//a', 'a'.repeat(2_049), undefined, 1])
    expect([path, isRequestPath(path)]).toEqual([path, false])
})

test('A path that is sent is what a URL parser makes of it', () => {
  const signs = [...'aZ0-_.@|:=~,%?#\\/+*;!$ \t\u2024é', '..', '%2e']
  const text = fc.array(fc.constantFrom(...signs), { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''))
  let sent = 0
  fc.assert(
    fc.property(text, (path) => {
      if (!isRequestPath(path)) return
      sent++
      const url = new URL(`/v1/${path}`, 'http://vault')
      expect(url.pathname + url.search + url.hash).toBe(`/v1/${path}`)
      expect(decodeURIComponent(url.pathname)).toBe(`/v1/${path}`)
    }),
    { numRuns: 5_000 },
  )
  expect(sent).toBeGreaterThan(200)
})

test('A query holds plain names and values only', () => {
  expect(queryOf({})).toBe('')
  expect(queryOf({ version: '3', list: 'true' })).toBe('?version=3&list=true')
  expect(isRequestQuery({ version: '3' })).toBe(true)
  for (const query of [{ version: '3&x=1' }, { 'a=b': '1' }, { version: '' }, { version: '%33' }, { version: '3#' }])
    expect([query, isRequestQuery(query)]).toEqual([query, false])
})

test('An operator sees the mount, and not the user', () => {
  expect(shownPath('auth/jwt/login')).toBe('auth/jwt/login')
  expect(shownPath('sys/leases/renew')).toBe('sys/leases/renew')
  expect(shownPath('secret/data/users/alice')).toBe('secret/data/…')
  expect(shownPath('kv/alice')).toBe('kv/…')
  expect(shownPath('kv')).toBe('kv')
})
