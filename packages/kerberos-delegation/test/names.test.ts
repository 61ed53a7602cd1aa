import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkRealm, userNames } from '../src/names.ts'

const realms = { 'example.com': 'CORP.EXAMPLE', 'Old.Example': 'CORP.EXAMPLE', 'corp.example': 'CORP.EXAMPLE' }
const userOf = userNames({ realm: 'CORP.EXAMPLE', realms })

function own(name: string) {
  return { name: `${name}@CORP.EXAMPLE`, enterprise: false, realm: 'CORP.EXAMPLE' }
}

test('an account of the realm, with or without its suffix', () => {
  expect(userOf('alice')).toEqual(own('alice'))
  expect(userOf('alice@corp.example')).toEqual(own('alice'))
  expect(userOf('ALICE@Corp.EXAMPLE')).toEqual(own('alice'))
  expect(userNames({ realm: 'CORP.EXAMPLE' })('alice@corp.example')).toEqual(own('alice'))
  expect(userOf('mary ann.o\u2019neil-smith_2#')).toEqual(own('mary ann.o\u2019neil-smith_2#'))
  expect(userOf('jörg')).toEqual(own('jörg'))
})

test('a user principal name of a listed suffix', () => {
  const jane = { name: 'jane@example.com', enterprise: true, realm: 'CORP.EXAMPLE' }
  expect(userOf('jane@example.com')).toEqual(jane)
  expect(userOf('Jane@EXAMPLE.com')).toEqual(jane)
  expect(userOf('jane@old.example')).toEqual({ ...jane, name: 'jane@old.example' })
})

test('every other suffix is refused', () => {
  for (const suffix of [
    'evil.realm',
    'EVIL.REALM',
    'a.example.com',
    'example.com.evil',
    'com',
    'example',
    'corp',
    'CORP',
    '',
  ])
    expect([suffix, userOf(`alice@${suffix}`)]).toEqual([suffix, undefined])
  for (const suffix of [
    'example.com ',
    ' example.com',
    'example.com.',
    'example.com\0',
    'ex\u0430mple.com',
    '__proto__',
    'constructor',
  ])
    expect([suffix, userOf(`alice@${suffix}`)]).toEqual([suffix, undefined])
})

test('names that no account has, or that mean something else in a principal, are refused', () => {
  for (const name of [
    ...[
      '',
      ' ',
      '.',
      ' alice',
      'alice ',
      '.alice',
      'alice.',
      'dc1$',
      '$',
      'a/b',
      'HTTP/web',
      'a@b',
      'a\\b',
      'a\\@b',
      'CORP\\alice',
    ],
    ...[
      'a"b',
      'a[b',
      'a]b',
      'a:b',
      'a;b',
      'a|b',
      'a=b',
      'a+b',
      'a*b',
      'a?b',
      'a<b',
      'a>b',
      'a,b',
      'a\0',
      'a\nb',
      'a\tb',
      'a\u007f',
    ],
    ...[
      'a\u00a0b',
      '\u00a0a',
      'a\u200b',
      'a\u202eb',
      'a\u2028b',
      'a\ufeff',
      'a\ud800',
      'a\ue000',
      'a'.repeat(257),
      'é'.repeat(129),
    ],
  ])
    for (const principal of [name, `${name}@corp.example`, `${name}@example.com`])
      expect([principal, userOf(principal)]).toEqual([principal, undefined])
  expect(userOf('a'.repeat(256))).toEqual(own('a'.repeat(256)))
})

test('one input names one user, two users never share one, and the answer means the same again', () => {
  const letter = fc.constantFrom(...'abAB.@ $/\\é')
  const suffix = fc.constantFrom(
    '',
    '@corp.example',
    '@CORP.EXAMPLE',
    '@example.com',
    '@old.example',
    '@EVIL.REALM',
    '@',
  )
  const principal = fc.tuple(fc.string({ unit: letter, maxLength: 4 }), suffix).map((parts) => parts.join(''))
  const sameSpelling = (text: string) =>
    text.replace(/[A-Z]/g, (one) => one.toLowerCase()).replace(/@corp\.example$/, '')
  let accepted = 0
  fc.assert(
    fc.property(principal, principal, (one, other) => {
      const user = userOf(one)
      if (user === undefined) return
      accepted++
      expect(userOf(one)).toEqual(user)
      expect(userOf(user.name)).toEqual(user)
      // One @, and what is behind it is ours or listed.
      expect(user.name).toMatch(user.enterprise ? /^[^@]+@(?:example\.com|old\.example)$/ : /^[^@]+@CORP\.EXAMPLE$/)
      const second = userOf(other)
      if (second?.name === user.name) {
        expect(second).toEqual(user)
        expect(sameSpelling(other)).toBe(sameSpelling(one))
      }
    }),
    { numRuns: 3_000 },
  )
  expect(accepted).toBeGreaterThan(300)
})

test('a realm is a name in upper case', () => {
  for (const realm of ['CORP.EXAMPLE', 'CORP', 'A-1.B2']) expect(checkRealm(realm, 'realm')).toBe(realm)
  for (const wrong of [
    ...[
      '',
      '.',
      'CORP.',
      '.CORP',
      'A..B',
      '-A',
      'A-',
      'CORP EXAMPLE',
      'CORP}',
      'CORP\n',
      'CORP=',
      'CORP@B',
      'CORP/B',
      'CÖRP',
      'A_B',
    ],
    ...['A'.repeat(256), undefined, null, 7, {}, ['CORP']],
  ])
    expect(() => checkRealm(wrong, 'realm'), String(wrong)).toThrow(
      new TypeError('"realm" must be a realm such as CORP.EXAMPLE'),
    )
  expect(() => checkRealm('corp.example', 'realm')).toThrow(
    '"realm" must be a realm such as CORP.EXAMPLE, in upper case',
  )
})

test('wrong options are named', () => {
  const wrong = (given: unknown, message: string) =>
    expect(() => userNames({ realm: 'CORP.EXAMPLE', realms: given as never })).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(message) }),
    )
  expect(() => userNames({ realm: 'corp' })).toThrow('"realm" must be')
  for (const given of [null, 'example.com', ['example.com'], 7]) wrong(given, '"realms" must be an object')
  wrong({ 'example.com': 'corp.example' }, '"realms.example.com" must be a realm')
  wrong({ 'example.com': undefined }, '"realms.example.com" must be a realm')
  for (const suffix of ['', '@example.com', '*.example.com', 'example.com.', 'a b', 'a\nb', '\u0131.example'])
    wrong({ [suffix]: 'CORP.EXAMPLE' }, 'must be for a suffix such as example.com')
  wrong({ 'example.com': 'A', 'Example.com': 'B' }, '"realms.Example.com" is there already, in another case')
  wrong(
    { 'corp.EXAMPLE': 'OTHER.EXAMPLE' },
    '"realms.corp.EXAMPLE" must be CORP.EXAMPLE, since it is that realm\'s own suffix',
  )
})
