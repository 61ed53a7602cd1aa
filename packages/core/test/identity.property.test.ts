import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isDelegationError } from '../src/errors.ts'
import { type PrincipalMapping, type PrincipalRule, principalMapping } from '../src/identity.ts'
import { createSession, type Session } from '../src/session.ts'

const ISSUERS = ['https://one.example', 'https://two.example'] as const

function session(issuer: string, name: string): Session {
  return createSession({
    issuer,
    subject: name,
    clientId: undefined,
    kind: 'user',
    displayName: name,
    groups: [] as unknown as Set<string>,
    roles: [] as unknown as Set<string>,
    scopes: [] as unknown as Set<string>,
    act: [],
    claims: { name },
    issuedAt: new Date(0),
    expiresAt: new Date(1),
    token: undefined,
  })
}

function principalOf(mapping: PrincipalMapping, issuer: string, name: string): string | undefined {
  try {
    return mapping.principal(session(issuer, name))
  } catch (error) {
    if (!isDelegationError(error)) throw error
    return undefined
  }
}

function constructed(make: () => PrincipalMapping): PrincipalMapping | undefined {
  try {
    return make()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return undefined
  }
}

/** What a backend that compares generously takes for one name. */
const generous = (name: string): string =>
  name.normalize('NFKD').replace(/\p{M}/gu, '').toUpperCase().toLowerCase().trim().replace(/\s+/g, ' ')

const caseRule = fc.constantFrom('sensitive', 'insensitive')
const nasty = fc.constantFrom(
  'ſ',
  '\u212a',
  'k',
  'K',
  's',
  'S',
  'ß',
  'é',
  'e',
  '\u0301',
  '\u0130',
  'i',
  '.',
  '@',
  '-',
  ' ',
)
const name = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 5, unit: fc.oneof(nasty, fc.constantFrom('a', 'A', 'b', 'B', '1', '_')) }),
    fc.string({ minLength: 1, maxLength: 12 }),
    fc.constantFrom('a.b@c', 'a_b_c', 'A.B.C', '__proto__', 'constructor', 'alice@EVIL.REALM'),
  )
  .filter((text) => !/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(text))

test('two values of a claim have one principal only where the backend could not tell them apart', () => {
  const template = fc
    .tuple(fc.constantFrom('', 'CORP\\', 'a', '.'), fc.constantFrom('', '@corp', 'a', '-x'))
    .map(([prefix, suffix]) => `${prefix}{name}${suffix}`)
  fc.assert(
    fc.property(caseRule, template, fc.constantFrom(undefined, /.+/u), name, name, (rule, template, pattern, a, b) => {
      const mapping = principalMapping({
        case: rule,
        issuers: [{ issuer: ISSUERS[0], template, pattern, acceptMutableClaim: true }],
      })
      const [one, other] = [principalOf(mapping, ISSUERS[0], a), principalOf(mapping, ISSUERS[0], b)]
      fc.pre(one !== undefined && other !== undefined)
      const same = rule === 'sensitive' ? a === b : a.toLowerCase() === b.toLowerCase()
      expect(one === other).toBe(same)
      if (rule === 'insensitive') expect(generous(one) === generous(other)).toBe(same)
    }),
    { numRuns: 3_000 },
  )
})

test('two rows of tables that were accepted have different principals for a generous backend', () => {
  const table = fc.dictionary(name, name, { maxKeys: 3, noNullPrototype: true })
  let accepted = 0
  fc.assert(
    fc.property(table, table, (one, two) => {
      const mapping = constructed(() =>
        principalMapping({
          case: 'insensitive',
          issuers: [
            { issuer: ISSUERS[0], table: one },
            { issuer: ISSUERS[1], table: two },
          ],
        }),
      )
      fc.pre(mapping !== undefined)
      const principals = [one, two].flatMap((rows, index) =>
        Object.keys(rows).map((subject) => mapping.principal(session(ISSUERS[index as 0 | 1], subject))),
      )
      expect(principals).not.toContain(undefined)
      expect(new Set(principals.map((principal) => generous(principal ?? ''))).size).toBe(principals.length)
      if (principals.length > 1) accepted++
    }),
    { numRuns: 1_000 },
  )
  expect(accepted).toBeGreaterThan(50)
})

// Constants and values over a tiny alphabet, so that all values up to a length can be tried.
const constant = fc.string({ unit: fc.constantFrom('a', 'b', '@'), maxLength: 2 })
const VALUES = (function* (): Generator<string> {
  let texts = ['']
  for (let length = 1; length <= 6; length++) {
    texts = texts.flatMap((text) => ['a', 'b', '@'].map((letter) => text + letter))
    yield* texts
  }
})()
const ALL = [...VALUES]
const NAMES = ALL.filter((value) => !value.includes('@'))

const affixes = fc.record({ prefix: constant, suffix: constant, any: fc.boolean() })

function ruleOf(
  issuer: string,
  { prefix, suffix, any }: { prefix: string; suffix: string; any: boolean },
): PrincipalRule {
  const pattern = any ? /[ab@]+/ : undefined
  return { issuer, template: `${prefix}{name}${suffix}`, pattern, acceptMutableClaim: true }
}

test('two templates are accepted exactly where no value of one gives a principal of the other', () => {
  let [accepted, refused] = [0, 0]
  fc.assert(
    fc.property(affixes, affixes, caseRule, (one, two, rule) => {
      const issuers = [ruleOf(ISSUERS[0], one), ruleOf(ISSUERS[1], two)]
      const mapping = constructed(() => principalMapping({ case: rule, issuers }))
      const answers = (given: typeof one): string[] =>
        (given.any ? ALL : NAMES).map((value) => given.prefix + value + given.suffix)
      const first = new Set(answers(one))
      const meets = answers(two).some((answer) => first.has(answer))
      expect(mapping === undefined).toBe(meets)
      if (meets) refused++
      else accepted++
    }),
    { numRuns: 1_500 },
  )
  expect(Math.min(accepted, refused)).toBeGreaterThan(100)
})

test('a template and a table are accepted exactly where no value gives a row', () => {
  let [accepted, refused] = [0, 0]
  const row = fc.string({ unit: fc.constantFrom('a', 'b', '@'), minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(affixes, row, caseRule, fc.boolean(), (given, principal, rule, reversed) => {
      const issuers = [ruleOf(ISSUERS[0], given), { issuer: ISSUERS[1], table: { x: principal } }]
      if (reversed) issuers.reverse()
      const mapping = constructed(() => principalMapping({ case: rule, issuers }))
      const meets = (given.any ? ALL : NAMES).some((value) => given.prefix + value + given.suffix === principal)
      expect(mapping === undefined).toBe(meets)
      if (meets) refused++
      else accepted++
    }),
    { numRuns: 1_000 },
  )
  expect(Math.min(accepted, refused)).toBeGreaterThan(50)
})
