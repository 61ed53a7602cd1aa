import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { identityDigest, mountPath, type NameRule, nameTemplate, pathTemplate, textTemplate } from '../src/paths.ts'
import type { IdentityParts } from '../src/sources/source.ts'
import { HOSTILE } from './support/hostile.ts'

const issuer = 'https://issuer.example'
const who = (principal: string, subject = principal): IdentityParts => ({ principal, issuer, subject })
const denied = expect.objectContaining({ code: 'ERR_DELEGATION_DENIED' })

describe('a path', () => {
  test.each([
    ['users/{principal}/vcenter', 'users/alice@corp.example/vcenter'],
    ['{principal}', 'alice@corp.example'],
    ['a/user-{principal}.v1/b', 'a/user-alice@corp.example.v1/b'],
    ['by/{principal}/{principal}', 'by/alice@corp.example/alice@corp.example'],
    ['users/{identity}', `users/${identityDigest({ issuer, subject: 'alice@corp.example' })}`],
  ])('%s is filled', (path, filled) => {
    expect(pathTemplate(path, 'path', 'required').fill(who('alice@corp.example'))).toBe(filled)
  })
  test('may be one for all where that is allowed', () => {
    const template = pathTemplate('teams/all', 'path', 'optional')
    expect(template.perUser).toBe(false)
    expect(template.fill(who('alice'))).toBe('teams/all')
  })
  test('that would give all users one secret is refused, with where that is to be had', () => {
    expect(() => pathTemplate('teams/all', 'path', 'required')).toThrow(TypeError)
    expect(() => pathTemplate('teams/all', 'path', 'required')).toThrow(
      /"path" must hold one of \{principal\} and \{identity\}.*serviceAccount of @mcp-delegation\/service-account/,
    )
  })
  test.each<unknown>([
    undefined,
    '',
    42,
    '/users/{principal}',
    'users/{principal}/',
    'users//{principal}',
    './{principal}',
    '../{principal}',
    'a/..b/{principal}',
    '..{principal}',
    'a%2f{principal}',
    'a+/{principal}',
    '*/{principal}',
    'a b/{principal}',
    'ä/{principal}',
    'a?x/{principal}',
    'a#x/{principal}',
    'a\\{principal}',
    '{principal}{identity}',
    '{principal}-{principal}',
    '{{principal}}',
    '{principal',
    'principal}',
    '{}',
    '{subject}',
    '{constructor}',
    '{__proto__}',
    `{principal}/${'a'.repeat(1100)}`,
  ])('%j is refused at construction', (path) => {
    expect(() => pathTemplate(path, 'targets.a.path', 'required')).toThrow(/^"targets\.a\.path" /)
    expect(() => pathTemplate(path, 'targets.a.path', 'required')).toThrow(TypeError)
  })
  test.each(HOSTILE)('of a user whose principal is %s is refused', (_, principal) => {
    expect(() => pathTemplate('users/{principal}/x', 'path', 'required').fill(who(principal))).toThrow(denied)
  })
  test.each([
    '',
    'a'.repeat(129),
    '-rf',
    '@x',
    '.hidden',
    'a.',
    'a..b',
    'a,b',
    "a'b",
    'a;b',
    'a&b',
    'a$b',
    'a!b',
    'a(b',
  ])('of a user whose principal is %j is refused', (principal) => {
    expect(() => pathTemplate('{principal}', 'path', 'required').fill(who(principal))).toThrow(denied)
  })
  test.each(['a', '_', 'A1', 'ann.lee', 'S-1-5-21:7', 'a=b~c-', 'a'.repeat(128)])(
    'of a user whose principal is %s is made',
    (principal) => {
      expect(pathTemplate('users/{principal}', 'path', 'required').fill(who(principal))).toBe(`users/${principal}`)
    },
  )
  test('is refused without its principal in the message', () => {
    let message = ''
    try {
      pathTemplate('users/{principal}', 'path', 'required').fill(who('../ignore-all-rules'))
    } catch (error) {
      message = String(error)
    }
    expect(message).toContain('caller')
    expect(message).not.toContain('ignore')
  })
  test('is another where only the case of a letter is', () => {
    const template = pathTemplate('users/{principal}', 'path', 'required')
    expect(template.fill(who('Alice'))).not.toBe(template.fill(who('alice')))
  })
})

const PIECES = [
  ...HOSTILE.map(([, text]) => text),
  ...'/.%+*{}|:@~=-_aA0 \\?#\u0000\u2024\uff0f\ud800',
  '..',
  '%2f',
  'alice',
]
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 5 }).map((pieces) => pieces.join('')),
  fc.string({ unit: fc.constantFrom(...'abAB01._-@:=~'), maxLength: 12 }),
)
const parts = fc.record({ principal: hostile, issuer: hostile, subject: hostile })
const segment = fc
  .tuple(
    fc.string({ unit: fc.constantFrom(...'ab.-@'), maxLength: 3 }),
    fc.constantFrom('', '{principal}', '{identity}'),
    fc.string({ unit: fc.constantFrom(...'ab.-@'), maxLength: 3 }),
  )
  .map((pieces) => pieces.join(''))
const template = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'))

/** What a function answers; `undefined` where it refuses, and nothing but a refusal is thrown. */
function answer<T>(work: () => T, refusal: (error: unknown) => boolean): T | undefined {
  try {
    return work()
  } catch (error) {
    if (refusal(error)) return undefined
    throw error
  }
}
const isDenial = (error: unknown): boolean => (error as { code?: unknown }).code === 'ERR_DELEGATION_DENIED'
const isTypeError = (error: unknown): boolean => error instanceof TypeError

describe('whatever the template and the users', () => {
  test('a path keeps its segments, and means itself wherever it is read', () => {
    let made = 0
    fc.assert(
      fc.property(template, parts, (path, user) => {
        const filled = answer(
          () => answer(() => pathTemplate(path, 'path', 'required'), isTypeError)?.fill(user),
          isDenial,
        )
        if (filled === undefined) return
        made++
        expect(filled).toMatch(/^[A-Za-z0-9._@:=~-]+(?:\/[A-Za-z0-9._@:=~-]+)*$/)
        expect(filled.split('/')).toHaveLength(path.split('/').length)
        expect(filled).not.toContain('..')
        expect(new URL(`https://vault.example/v1/${filled}`).href).toBe(`https://vault.example/v1/${filled}`)
        expect(decodeURIComponent(filled)).toBe(filled)
      }),
      { numRuns: 5_000 },
    )
    expect(made).toBeGreaterThan(500)
  })
  test('different principals, or identities, never have one path', () => {
    const near = fc.tuple(parts, parts, fc.integer({ min: 0, max: 3 })).map(([a, b, shift]) => {
      // The same text, cut in two at different places.
      if (shift === 0) return [a, b] as const
      const text = a.issuer + a.subject
      const cut = Math.min(text.length, shift)
      return [
        { ...a, issuer: text.slice(0, cut), subject: text.slice(cut) },
        { ...a, principal: b.principal, issuer: text, subject: '' },
      ] as const
    })
    let made = 0
    fc.assert(
      fc.property(template, near, (path, [a, b]) => {
        const checked = answer(() => pathTemplate(path, 'path', 'required'), isTypeError)
        if (checked === undefined) return
        const [one, other] = [a, b].map((user) => answer(() => checked.fill(user), isDenial))
        if (one === undefined || other === undefined) return
        made++
        const [principals, identities] = [path.includes('{principal}'), path.includes('{identity}')]
        const same =
          (!principals || a.principal === b.principal) &&
          (!identities || (a.issuer === b.issuer && a.subject === b.subject))
        expect(one === other).toBe(same)
      }),
      { numRuns: 10_000 },
    )
    expect(made).toBeGreaterThan(500)
  })
})

describe('an identity', () => {
  test('is the SHA-256 over both parts as netstrings', () => {
    const expected = createHash('sha256').update('6:issuer,6:\u00e4\u00e4\u00e4,').digest('hex')
    expect(identityDigest({ issuer: 'issuer', subject: '\u00e4\u00e4\u00e4' })).toBe(expected)
  })
  test.each(HOSTILE)('may have %s as its subject, unless that is no Unicode', (_, subject) => {
    const fill = () => pathTemplate('users/{identity}', 'path', 'required').fill(who('alice', subject))
    if (/\p{Cs}/u.test(subject)) expect(fill).toThrow(denied)
    else expect(fill()).toMatch(/^users\/[0-9a-f]{64}$/)
  })
  test('differs where lone surrogates would be one replacement character: they are refused', () => {
    for (const subject of ['\ud800', '\udfff', 'a\ud800b'])
      expect(() => identityDigest({ issuer, subject })).toThrow(denied)
  })
})

describe('a name', () => {
  const fill = (name: string, rule: NameRule, principal: string): string =>
    nameTemplate(name, 'role', 'required', rule).fill(who(principal))
  test.each<[NameRule, string]>([
    ['role', 'Ann.Lee'],
    ['ssh-role', 'ann@corp.example'],
    ['ldap-role', 'ann.lee'],
    ['role', '_a'],
  ])('by the rule %s may be %s', (rule, principal) => {
    expect(fill('{principal}', rule, principal)).toBe(principal)
    expect(fill('{principal}-billing', rule, principal)).toBe(`${principal}-billing`)
  })
  test.each<[NameRule, string]>([
    ['role', 'ann@corp.example'],
    ['role', 'ann-'],
    ['role', 'auth0|7'],
    ['role', 'a:b'],
    ['ssh-role', 'auth0|7'],
    ['ldap-role', 'Ann.Lee'],
    ['ldap-role', 'ann@corp.example'],
  ])('by the rule %s may not be %s', (rule, principal) => {
    expect(() => fill('{principal}', rule, principal)).toThrow(denied)
  })
  test('without a placeholder is checked at once', () => {
    expect(nameTemplate('read-only', 'role', 'optional', 'role').fill(who('alice'))).toBe('read-only')
    for (const name of ['a/b', '', undefined, '-a', 'a@b', 'a-', 'a|b'])
      expect(() => nameTemplate(name, 'role', 'optional', 'role')).toThrow(/^"role" /)
    expect(() => nameTemplate('Readers', 'role', 'optional', 'ldap-role')).toThrow(TypeError)
  })
})

describe('a text', () => {
  test('has one placeholder among whatever is printable', () => {
    expect(textTemplate('CORP\\{principal}', 'username').fill(who('alice'))).toBe('CORP\\alice')
    expect(textTemplate('spiffe://corp/{principal}', 'uri', /^[a-z:/.-]*$/).fill(who('al'))).toBe('spiffe://corp/al')
  })
  test.each<unknown>([
    'alice',
    '',
    undefined,
    7,
    '{principal}{identity}',
    '{x}',
    'a\u0000{principal}',
    '\u202e{principal}',
  ])('%j is refused at construction', (text) => {
    expect(() => textTemplate(text, 'username')).toThrow(/^"username" /)
  })
  test('holds only what its caller allows', () => {
    expect(() => textTemplate('a,{principal}', 'commonName', /^[a-z.]*$/)).toThrow(/^"commonName" /)
  })
  test.each(HOSTILE)('for %s is refused', (_, principal) => {
    expect(() => textTemplate('{principal}', 'username').fill(who(principal))).toThrow(denied)
  })
})

describe('a mount', () => {
  test.each(['secret', 'team-a/kv', 'kv.v2'])('may be at %s', (mount) => {
    expect(mountPath(mount, 'mount')).toBe(mount)
  })
  test.each<unknown>([
    '',
    '/secret',
    'secret/',
    'a//b',
    '..',
    'a/../b',
    '.',
    '{principal}',
    'a%2f',
    'a b',
    7,
    undefined,
  ])('may not be at %j', (mount) => {
    expect(() => mountPath(mount, 'mount')).toThrow(/^"mount" /)
  })
})
