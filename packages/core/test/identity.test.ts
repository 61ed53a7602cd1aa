import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { DelegationError, isDelegationError } from '../src/errors.ts'
import { type PrincipalMappingOptions, type PrincipalRule, principalMapping } from '../src/identity.ts'
import { createSession, type Session } from '../src/session.ts'

const CORP = 'https://corp.example/realms/staff'
const PARTNER = 'https://partner.example'

function session(claims: Readonly<Record<string, unknown>> = {}, changes: Partial<Session> = {}): Session {
  return createSession({
    issuer: CORP,
    subject: 'f7a1',
    clientId: 'app',
    kind: 'user',
    displayName: 'Alice',
    groups: new Set(),
    roles: new Set(),
    scopes: new Set(),
    act: [],
    issuedAt: new Date(0),
    expiresAt: new Date(1),
    token: undefined,
    claims,
    ...changes,
  })
}

type Rest = Partial<Omit<PrincipalMappingOptions, 'issuers'>>

/** A mapping with one rule, for {@link CORP}. */
function mapping(rule: Readonly<Record<string, unknown>>, rest: Rest = {}) {
  return principalMapping({ case: 'sensitive', ...rest, issuers: [{ issuer: CORP, ...rule } as PrincipalRule] })
}

function denial(ask: () => unknown): string {
  try {
    return `answered ${inspect(ask())}`
  } catch (error) {
    if (!isDelegationError(error)) throw error
    return error.code
  }
}

const DENIED = 'ERR_DELEGATION_DENIED'
const byName = { template: '{preferred_username}@vsphere.local', acceptMutableClaim: true }

describe('by claim', () => {
  test('the subject is that of the session, whatever the claims hold', () => {
    const { principal } = mapping({ claim: 'sub' })
    expect(principal(session({ sub: 'other' }))).toBe('f7a1')
    expect(principal(session())).toBe('f7a1')
  })

  test('another claim is taken from the claims, also by a path', () => {
    const upn = { claim: 'upn', acceptMutableClaim: true }
    expect(mapping({ claim: 'oid' }).principal(session({ oid: 'a-1' }))).toBe('a-1')
    expect(mapping(upn).principal(session({ upn: 'alice' }))).toBe('alice')
    const path = mapping({ claim: ['https://corp.example/ad', 'account'], acceptMutableClaim: true })
    expect(path.principal(session({ 'https://corp.example/ad': { account: 'alice' } }))).toBe('alice')
  })

  test('a dot in a name is no path', () => {
    const { principal } = mapping({ claim: 'ad.account', acceptMutableClaim: true })
    expect(principal(session({ 'ad.account': 'alice' }))).toBe('alice')
    expect(denial(() => principal(session({ ad: { account: 'alice' } })))).toBe(DENIED)
  })

  test('a claim that users may edit needs acceptMutableClaim', () => {
    for (const rule of [
      { claim: 'preferred_username' },
      { claim: 'email', acceptMutableClaim: false },
      { claim: ['ad', 'sub'] },
      { claim: ['oid', 'name'] },
      { claim: ['sub', 'name'] },
      { claim: 'SUB' },
      { template: '{email}' },
      { template: 'corp-{upn}', acceptMutableClaim: 'yes' },
    ])
      expect(() => mapping(rule)).toThrow(/^"issuers\[0\]\.acceptMutableClaim" must be true/)
    for (const rule of [{ claim: 'sub' }, { claim: ['oid'] }, { template: 'corp-{sub}' }, byName]) mapping(rule)
  })

  test('a claim that is missing or malformed is denied, never left without an entry', () => {
    const { principal } = mapping(byName)
    const values: readonly unknown[] = [
      undefined,
      null,
      '',
      7,
      true,
      ['alice'],
      { name: 'alice' },
      'a'.repeat(256),
      'a'.repeat(10_000),
      'alice\n',
      'ali\u0000ce',
      '\u202ealice',
      '\ud800',
    ]
    for (const preferred_username of values)
      expect(denial(() => principal(session({ preferred_username })))).toBe(DENIED)
    expect(denial(() => principal(session({})))).toBe(DENIED)
  })

  test('what objects inherit is no claim', () => {
    for (const claim of ['constructor', 'toString', '__proto__'])
      expect(denial(() => mapping({ claim, acceptMutableClaim: true }).principal(session()))).toBe(DENIED)
    for (const claim of [
      ['constructor', 'name'],
      ['list', '0'],
      ['list', 'length'],
      ['text', 'length'],
      ['deep', 'missing', 'more'],
    ]) {
      const { principal } = mapping({ claim, acceptMutableClaim: true })
      expect(denial(() => principal(session({ list: ['alice'], text: 'alice', deep: {} })))).toBe(DENIED)
    }
    const own = JSON.parse('{"__proto__":"alice"}')
    expect(mapping({ claim: '__proto__', acceptMutableClaim: true }).principal(session(own))).toBe('alice')
  })

  test('the message names the claim and holds nothing of its value', () => {
    const { principal } = mapping(byName)
    expect(() => principal(session({ preferred_username: 'alice@EVIL.REALM' }))).toThrow(
      new DelegationError(DENIED, "the claim 'preferred_username' is missing or malformed"),
    )
  })
})

describe('the pattern', () => {
  test('keeps what separates parts of a principal out of a template', () => {
    const { principal } = mapping(byName)
    expect(principal(session({ preferred_username: 'a.li-ce_1' }))).toBe('a.li-ce_1@vsphere.local')
    const hostile = [
      'alice@EVIL.REALM',
      'alice@vsphere.local',
      'alice/admin',
      '../administrator',
      '..',
      '.',
      '.alice',
      'alice.',
      '-oProxyCommand=x',
      'CORP\\alice',
      'alice%2fadmin',
      '+',
      '*',
      'alice,dc=corp',
      'alice)(uid=*',
      'alice ',
      ' alice',
      'alice;bob',
      'alice$',
      'álice',
      'аlice', // Cyrillic
      'alice\uff20corp',
    ]
    for (const preferred_username of hostile)
      expect(denial(() => principal(session({ preferred_username })))).toBe(DENIED)
  })

  test('of the administrator must match the whole value, wherever its own anchors are', () => {
    const values = ['alice', 'alice@EVIL', 'xalice', 'alicex', 'alice\nroot', 'bob', 'bobx', 'ali']
    for (const pattern of [/alice|bob/, /^alice|bob$/, /ali|alice|bob/, /^(?:alice|bob)$/]) {
      const { principal } = mapping({ claim: 'upn', acceptMutableClaim: true, pattern })
      const accepted = values.filter((upn) => denial(() => principal(session({ upn }))) !== DENIED)
      expect(accepted).toEqual(
        ['/ali|alice|bob/'].includes(String(pattern)) ? ['alice', 'bob', 'ali'] : ['alice', 'bob'],
      )
    }
  })

  test('may let more in, but never control characters, loose spaces or 256 bytes', () => {
    const { principal } = mapping({ claim: 'name', acceptMutableClaim: true, pattern: /.*/su })
    for (const name of ['alice@corp.example', 'Zoë van Dam', '山田', 'auth0|5f7'])
      expect(principal(session({ name }))).toBe(name)
    for (const name of ['', 'a\nb', ' a', 'a ', 'a  b', '\u200ba', 'é'.repeat(128)])
      expect(denial(() => principal(session({ name })))).toBe(DENIED)
  })

  test('the principal as a whole has 255 bytes at most', () => {
    const { principal } = mapping(byName)
    const longest = 'a'.repeat(255 - '@vsphere.local'.length)
    expect(principal(session({ preferred_username: longest }))).toHaveLength(255)
    expect(denial(() => principal(session({ preferred_username: `${longest}a` })))).toBe(DENIED)
  })

  test('has no flag that moves its anchors or keeps state', () => {
    for (const pattern of [/a/g, /a/y, /a/m, 'a', {}, null])
      expect(() => mapping({ claim: 'sub', pattern })).toThrow(/^"issuers\[0\]\.pattern" must be a regular expression/)
    const { principal } = mapping({ claim: 'sub', pattern: /F7A\d/isu })
    expect([principal(session()), principal(session())]).toEqual(['f7a1', 'f7a1'])
  })
})

describe('by template', () => {
  test('an empty value is denied, whatever the pattern', () => {
    const { principal } = mapping({ template: 'corp-{name}', acceptMutableClaim: true, pattern: /.*/ })
    expect(principal(session({ name: 'x' }))).toBe('corp-x')
    expect(denial(() => principal(session({ name: '' })))).toBe(DENIED)
  })

  test('has exactly one placeholder', () => {
    for (const template of [
      '',
      'alice',
      '{}',
      '{a}{b}',
      '{a}@{b}',
      '{a',
      'a}',
      '{{a}}',
      '{a}}',
      'x{a}{',
      '{a}\n',
      `{a}${'x'.repeat(255)}`,
      7,
      null,
      ['{a}'],
    ])
      expect(() => mapping({ template, acceptMutableClaim: true }), String(template)).toThrow(
        /^"issuers\[0\]\.template" must (?:hold exactly one placeholder|be clean text)/,
      )
  })

  test('is clean text that the case rule allows', () => {
    expect(() => mapping({ template: 'é-{sub}' }, { case: 'insensitive' })).toThrow(/in ASCII$/)
    expect(mapping({ template: 'é-{sub}' }).principal(session())).toBe('é-f7a1')
    for (const template of [' {sub}', '{sub} ', 'a  {sub}']) expect(() => mapping({ template })).toThrow(TypeError)
  })

  test('a value is text, not a replacement pattern or another template', () => {
    const { principal } = mapping({ template: '{sub}@corp', pattern: /.*/ })
    for (const subject of ['$&', '$1', '{sub}', '$`'])
      expect(principal(session({}, { subject }))).toBe(`${subject}@corp`)
  })
})

describe('by table', () => {
  test('finds the subject, in an object and in a Map', () => {
    for (const table of [{ f7a1: 'alice' }, new Map([['f7a1', 'alice']])]) {
      const { principal } = mapping({ table })
      expect(principal(session())).toBe('alice')
      expect(principal(session({}, { subject: 'f7a2' }))).toBeUndefined()
      expect(principal(session({}, { subject: 'F7A1' }))).toBeUndefined()
    }
  })

  test('prototype names are ordinary subjects', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']
    const { principal } = mapping({ table: { f7a1: 'alice' } })
    for (const subject of names) expect(principal(session({}, { subject }))).toBeUndefined()
    const own = mapping({ table: JSON.parse('{"__proto__":"p","constructor":"c"}') })
    expect(own.principal(session({}, { subject: '__proto__' }))).toBe('p')
    expect(own.principal(session({}, { subject: 'constructor' }))).toBe('c')
    const inherited = mapping({ table: Object.create({ f7a1: 'administrator' }) as Record<string, string> })
    expect(inherited.principal(session())).toBeUndefined()
  })

  test('is copied', () => {
    const [object, map] = [{ f7a1: 'alice' }, new Map([['f7a1', 'alice']])]
    const both = [mapping({ table: object }), mapping({ table: map })]
    object.f7a1 = 'administrator'
    map.set('f7a1', 'administrator')
    map.set('f7a2', 'administrator')
    for (const { principal } of both) {
      expect(principal(session())).toBe('alice')
      expect(principal(session({}, { subject: 'f7a2' }))).toBeUndefined()
    }
  })

  test('gives no two subjects one principal under the case rule', () => {
    const table = { a: 'alice', b: 'Alice' }
    expect(mapping({ table }).principal(session({}, { subject: 'b' }))).toBe('Alice')
    expect(() => mapping({ table }, { case: 'insensitive' })).toThrow(
      /^"issuers\[0\]" could give 'alice' to two people/,
    )
    expect(() => mapping({ table: { a: 'alice', b: 'alice' } })).toThrow(/two people/)
    const links = [
      [
        { issuer: CORP, subject: 'a' },
        { issuer: CORP, subject: 'b' },
      ],
    ]
    expect(mapping({ table: { a: 'x', b: 'x' } }, { links }).principal(session({}, { subject: 'b' }))).toBe('x')
    expect(() => mapping({ table: { a: 'x', b: 'x', c: 'x' } }, { links })).toThrow(/two people/)
  })

  test('refuses malformed subjects and principals', () => {
    for (const table of [
      { a: '' },
      { a: ' alice' },
      { a: 7 },
      { a: undefined },
      { a: 'a\nb' },
      { '': 'alice' },
      { 'a\n': 'alice' },
      new Map<unknown, unknown>([[1, 'alice']]),
      new Map<unknown, unknown>([['a', null]]),
    ])
      expect(() => mapping({ table })).toThrow(/^"issuers\[0\]\.table" must map subjects to principals/)
    for (const table of [[], [['a', 'alice']], null, 'alice', 7])
      expect(() => mapping({ table })).toThrow(/^"issuers\[0\]/)
    expect(() => mapping({ table: { a: 'Zoë' } }, { case: 'insensitive' })).toThrow(/case rule/)
    mapping({ table: {} })
  })
})

describe('by function', () => {
  test('gets the session; no answer is no entry', () => {
    const given = session({ department: 'sales' })
    const { principal } = mapping({
      principal: (s: Session) => (s === given ? `${s.claims['department']}` : undefined),
    })
    expect(principal(given)).toBe('sales')
    expect(principal(session())).toBeUndefined()
  })

  test('its answer is validated under the case rule', () => {
    const answers: readonly unknown[] = [null, '', 7, false, {}, 'a\n', ' a', 'x'.repeat(256), Promise.resolve('alice')]
    for (const answer of answers)
      expect(denial(() => mapping({ principal: () => answer }).principal(session()))).toBe(DENIED)
    const insensitive = (answer: string) => () =>
      mapping({ principal: () => answer }, { case: 'insensitive' }).principal(session())
    expect(insensitive('CORP\\Alice')()).toBe('corp\\alice')
    expect(denial(insensitive('Zoë'))).toBe(DENIED)
  })

  test('may deny, and what else it throws is passed on', () => {
    const broken = new Error('broken')
    const { principal } = mapping({
      principal: () => {
        throw broken
      },
    })
    expect(() => principal(session())).toThrow(broken)
  })

  test('an asynchronous one is denied, and is no unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): number => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const { principal } = mapping({ principal: async () => Promise.reject(new Error('late')) })
      expect(denial(() => principal(session()))).toBe(DENIED)
      await new Promise(setImmediate)
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})

describe('the case rule', () => {
  const insensitive = (pattern?: RegExp) =>
    mapping({ claim: 'name', acceptMutableClaim: true, pattern }, { case: 'insensitive' })

  test('sensitive keeps names as they are', () => {
    const { principal } = mapping({ claim: 'name', acceptMutableClaim: true })
    expect(principal(session({ name: 'Alice' }))).toBe('Alice')
  })

  test('insensitive makes one spelling of a name, its constant part included', () => {
    expect(insensitive().principal(session({ name: 'ALICE' }))).toBe('alice')
    const { principal } = mapping({ template: 'CORP\\{sub}' }, { case: 'insensitive' })
    expect(principal(session())).toBe('corp\\f7a1')
  })

  test('insensitive refuses every letter that a backend could take for another', () => {
    const { principal } = insensitive(/.+/u)
    for (const name of [
      'ſarah', // U+017F, upper-cases to S
      '\u212aarl', // KELVIN SIGN, lower-cases to k
      'stra\u00dfe', // upper-cases to SS
      '\u0130da', // lower-cases to two characters
      '\u0131da', // dotless, upper-cases to I
      'ren\u00e9',
      'rene\u0301',
      '\uff41lice', // full width
      'ｱ',
      'ǆ',
    ])
      expect(
        denial(() => principal(session({ name }))),
        name,
      ).toBe(DENIED)
    expect(denial(() => insensitive(/[a-z]+/iu).principal(session({ name: '\u212aarl' })))).toBe(DENIED)
  })

  test('must be stated', () => {
    for (const rule of [undefined, null, '', 'Insensitive', true])
      expect(() => principalMapping({ case: rule as 'sensitive', issuers: [] })).toThrow(/^"case" must be /)
  })
})

describe('issuers', () => {
  const { principal } = principalMapping({
    case: 'sensitive',
    issuers: [
      { issuer: CORP, claim: 'sub' },
      { issuer: PARTNER, table: { f7a1: 'partner-1@x' } },
    ],
  })

  test('each has its own rule', () => {
    expect(principal(session())).toBe('f7a1')
    expect(principal(session({}, { issuer: PARTNER }))).toBe('partner-1@x')
  })

  test('are compared exactly; the users of others have no principal', () => {
    for (const issuer of [`${CORP}/`, CORP.toUpperCase(), 'https://other.example', '__proto__', 'constructor'])
      expect(principal(session({}, { issuer }))).toBeUndefined()
  })

  test('have one rule each', () => {
    const twice = [
      { issuer: CORP, claim: 'sub' },
      { issuer: CORP, table: {} },
    ]
    expect(() => principalMapping({ case: 'sensitive', issuers: twice })).toThrow(/^"issuers\[1\]\.issuer" has a rule/)
  })

  test('have a rule of exactly one kind', () => {
    for (const rule of [
      {},
      { claim: undefined },
      { claim: 'sub', template: '{sub}' },
      { claim: 'sub', table: {} },
      { table: {}, principal: () => 'x' },
    ])
      expect(() => mapping(rule)).toThrow(/^"issuers\[0\]" must have exactly one of/)
    expect(() => mapping({ principal: 'alice' })).toThrow(/^"issuers\[0\]\.principal" must be a function/)
    for (const claim of ['', [], [''], ['a', 7], {}, 'a\n', null])
      expect(() => mapping({ claim, acceptMutableClaim: true })).toThrow(/^"issuers\[0\]\.claim" must be the name/)
    for (const extra of [{ pattern: /a/ }, { acceptMutableClaim: true }])
      for (const rule of [{ table: {} }, { principal: () => 'x' }])
        expect(() => mapping({ ...rule, ...extra })).toThrow(/are for a claim or a template$/)
  })

  test('are a list of rules with issuers', () => {
    const broken: readonly unknown[] = [undefined, null, {}, 'x', [null], ['x'], [{}], [{ issuer: '', claim: 'sub' }]]
    for (const issuers of broken)
      expect(() => principalMapping({ case: 'sensitive', issuers: issuers as PrincipalRule[] })).toThrow(/^"issuers/)
    expect(() => principalMapping(undefined as unknown as PrincipalMappingOptions)).toThrow(TypeError)
    expect(principalMapping({ case: 'sensitive', issuers: [] }).principal(session())).toBeUndefined()
  })
})

test('a machine is denied, whatever the rule, also where there is none', () => {
  const machine = (issuer: string): Session => session({ sub: 'f7a1' }, { kind: 'machine', issuer })
  for (const rule of [{ claim: 'sub' }, { table: { f7a1: 'alice' } }, { table: {} }, { principal: () => undefined }]) {
    const { principal } = mapping(rule)
    expect(denial(() => principal(machine(CORP)))).toBe(DENIED)
    expect(denial(() => principal(machine(PARTNER)))).toBe(DENIED)
  }
})

describe('links', () => {
  const [alice, alicia, bob] = ['alice', 'alicia', 'bob'].map((subject) => ({ issuer: CORP, subject }))
  if (alice === undefined || alicia === undefined || bob === undefined) throw new Error('incomplete')
  const partner = { issuer: PARTNER, subject: 'alice' }

  test('join the identities of one person, and nobody else', () => {
    const { linked } = principalMapping({
      case: 'sensitive',
      issuers: [],
      links: [
        [alice, alicia, partner],
        [bob, { issuer: PARTNER, subject: 'bob' }],
      ],
    })
    expect([linked(alice, alicia), linked(partner, alicia), linked({ ...bob }, { ...bob })]).toEqual([true, true, true])
    expect([linked(alice, bob), linked(bob, { issuer: PARTNER, subject: 'alicia' })]).toEqual([false, false])
    expect(linked(alice, { issuer: `${CORP}alice`, subject: '' })).toBe(false)
  })

  test('join nobody by default', () => {
    const { linked } = mapping({ claim: 'sub' })
    expect(linked(alice, partner)).toBe(false)
    expect(linked({ issuer: 'x', subject: 'constructor' }, { issuer: 'y', subject: 'constructor' })).toBe(false)
  })

  test('are copied', () => {
    const people = [{ ...alice }, { ...partner }]
    const { linked } = principalMapping({ case: 'sensitive', issuers: [], links: [people] })
    Object.assign(people[0] ?? {}, { subject: 'bob' })
    people.push(bob)
    expect([linked(alice, partner), linked(bob, partner)]).toEqual([true, false])
  })

  test('are lists of two identities or more, each in one list', () => {
    const wrong: readonly unknown[] = [
      null,
      {},
      'x',
      [[]],
      [[alice]],
      [alice],
      [[alice, null]],
      [[alice, { issuer: CORP }]],
      [[alice, { issuer: CORP, subject: 'a\n' }]],
      [[alice, { ...alice }]],
      [
        [alice, alicia],
        [alice, bob],
      ],
    ]
    for (const links of wrong)
      expect(() => principalMapping({ case: 'sensitive', issuers: [], links: links as [] })).toThrow(/^"links/)
  })
})

describe('two issuers', () => {
  const alice = { issuer: CORP, subject: 'f7a1' }
  function both(one: object, two: object, rest: Rest = {}): () => unknown {
    const issuers = [
      { issuer: CORP, acceptMutableClaim: true, ...one },
      { issuer: PARTNER, acceptMutableClaim: true, ...two },
    ].map((rule) => ('table' in rule ? { issuer: rule.issuer, table: rule.table } : rule)) as PrincipalRule[]
    return () => principalMapping({ case: 'sensitive', ...rest, issuers })
  }
  const name = 'preferred_username'

  test('must not be able to give two people one principal', () => {
    for (const [one, two] of [
      [{ claim: 'sub' }, { claim: 'sub' }],
      [{ claim: name }, { template: `{${name}}` }],
      [{ template: `{${name}}@corp` }, { template: `{${name}}@corp` }],
      [{ claim: name }, { template: `partner-{${name}}` }],
      [{ template: `{${name}}-x` }, { template: `partner-{${name}}` }],
      [{ template: `a{${name}}` }, { template: `ab{${name}}` }],
      [{ claim: name, pattern: /.+/ }, { template: `{${name}}@corp` }],
      [{ claim: name }, { table: { x: 'alice' } }],
      [{ template: `{${name}}@corp` }, { table: { x: 'alice@corp' } }],
      [{ table: { x: 'alice' } }, { table: { y: 'alice' } }],
      [{ table: { x: 'alice@a' } }, { template: '{sub}@a', pattern: /.+/ }],
    ] as const) {
      expect(both(one, two)).toThrow(/^"issuers\[0\]" and "issuers\[1\]" could give '.*' to two people/)
      expect(both(two, one)).toThrow(/^"issuers\[0\]" and "issuers\[1\]" could give '.*' to two people/)
    }
  })

  test('may have rules whose principals cannot be the same', () => {
    for (const [one, two] of [
      [{ claim: name }, { template: `{${name}}@partner` }],
      [{ template: `{${name}}@corp` }, { template: `{${name}}@partner` }],
      [{ template: `CORP\\{${name}}` }, { template: `{${name}}@partner` }],
      [{ template: `a-{${name}}` }, { template: `b-{${name}}` }],
      [{ claim: name }, { table: { x: 'alice@partner' } }],
      [{ claim: name, pattern: /[a-z]+/ }, { table: { x: 'a1' } }],
      [{ table: { x: 'alice' } }, { table: { x: 'Alice', y: 'bob' } }],
      [{ table: { x: '@corp' } }, { template: `{${name}}@corp`, pattern: /.+/ }],
      [{ claim: 'sub' }, { principal: () => 'alice', acceptMutableClaim: undefined }],
    ] as const) {
      both(one, two)()
      both(two, one)()
    }
  })

  test('the case rule decides what is the same', () => {
    const rest = { case: 'insensitive' } as const
    for (const [one, two] of [
      [{ template: '{sub}@CORP' }, { template: '{sub}@corp' }],
      [{ template: 'CORP-{sub}' }, { template: 'corp-{sub}' }],
      [{ table: { x: 'alice' } }, { table: { x: 'ALICE' } }],
      [{ template: '{sub}@corp' }, { table: { x: 'Alice@Corp' } }],
      [{ claim: 'sub', pattern: /[A-Z]+/ }, { table: { x: 'alice' } }],
    ] as const) {
      both(one, two)()
      expect(both(one, two, rest)).toThrow(/two people/)
    }
  })

  test('links allow what they join, which is rows of tables', () => {
    const links = [[alice, { issuer: PARTNER, subject: 'p1' }]]
    for (const [one, two] of [
      [{ claim: name }, { claim: name }],
      [{ claim: 'sub' }, { claim: 'sub' }],
      [{ template: `{${name}}@corp` }, { template: `{${name}}@corp` }],
    ] as const)
      expect(both(one, two, { links })).toThrow(/two people/)
    both({ table: { f7a1: 'alice' } }, { table: { p1: 'alice' } }, { links })()
    both({ table: { f7a1: 'alice' } }, { claim: name }, { links })()
    expect(both({ table: { f7a1: 'alice' } }, { table: { p2: 'alice' } }, { links })).toThrow(/two people/)
    expect(both({ table: { f7a1: 'alice', f7a2: 'bob' } }, { claim: name }, { links })).toThrow(/'bob'/)
    const elsewhere = [[alice, { issuer: 'https://third.example', subject: 'p1' }]]
    expect(both({ table: { f7a1: 'alice' } }, { claim: name }, { links: elsewhere })).toThrow(/two people/)
  })

  test('a row and the claim sub give one principal only to one linked person', () => {
    const links = [[alice, { issuer: PARTNER, subject: 'p1' }]]
    both({ claim: 'sub' }, { table: { p1: 'f7a1' } }, { links })()
    both({ template: 'x-{sub}@CORP' }, { table: { p1: 'X-F7A1@corp' } }, { links, case: 'insensitive' })()
    expect(both({ claim: 'sub' }, { table: { p1: 'f7a2' } }, { links })).toThrow(/'f7a2' to two people/)
    expect(both({ template: 'x-{sub}' }, { table: { p1: 'x-f7a2' } }, { links })).toThrow(/to two people/)
  })
})

test('a mapping is frozen, and its members need no receiver', () => {
  const made = mapping({ claim: 'sub' })
  expect(Object.isFrozen(made)).toBe(true)
  const { principal, linked } = made
  expect([principal(session()), linked({ issuer: 'a', subject: 'b' }, { issuer: 'a', subject: 'b' })]).toEqual([
    'f7a1',
    true,
  ])
})

test('a misspelled member of a rule is a TypeError: a pattern that is ignored would let everything through', () => {
  const rule = { issuer: 'https://idp.example', claim: 'sub', patern: /^[a-z]+$/ }
  expect(() => principalMapping({ issuers: [rule], case: 'sensitive' })).toThrow(
    new TypeError('"issuers[0].patern" is not a member of a rule'),
  )
})
