import fc from 'fast-check'
import { expect, it } from 'vitest'
import { groupGrammar } from '../../src/group-grammar.ts'
import type { DelegationRule, IssuerPermissions, PermissionsOptions, ToolRule } from '../../src/permission-options.ts'
import { permissions } from '../../src/permissions.ts'
import type { Decision, DelegationAttempt, OperationKind } from '../../src/policy.ts'
import type { Session } from '../../src/session.ts'
import { testSession } from '../../src/testing/test-session.ts'
import { heldBy, judgeDelegation, judgeUse, rankAt, type Verdict } from './permissions-by-hand.ts'
import { expectOften, runs } from './runs.ts'

type Options = PermissionsOptions<string>

// Few different names, so that what is asked for is often what is granted, and often nearly.
const ISSUERS = ['https://one.example', 'https://two.example']
const LEVELS = ['read', 'write', 'admin', 'root']
const NAMES = ['a', 'A', 'b', '__proto__', 'constructor', 'toString']
const GROUPS = [...NAMES, 'G_a', 'G_b', 'G_a_b', 'G_A', 'G_x_b', 'G__a', 'G_ROOT', 'H_a', 'H_a_a', 'H_a_a_b']
const AREAS: readonly (readonly string[])[] = [
  [],
  ['a'],
  ['b'],
  ['A'],
  ['a', 'b'],
  ['x', 'b'],
  ['a', 'b', 'c'],
  ['b', 'a'],
]
const MODULES = ['vc', 'logs', '__proto__']
const TYPES = ['vault', 'shared']
const SCOPES = ['s', 't', 'u', 'v', 'constructor']

const name = fc.constantFrom(...NAMES)
const level = fc.constantFrom('read', 'read', ...LEVELS)
const scopes = fc.option(fc.array(fc.constantFrom(...SCOPES), { minLength: 1, maxLength: 2 }), {
  nil: undefined,
  freq: 2,
})
const some = (...values: readonly string[]): fc.Arbitrary<string[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 })
/** As an administrator's JSON gives it: `__proto__` is a name like any other. */
const table = <T>(keys: readonly string[], value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...keys), value), { selector: ([key]) => key, maxLength: 8 })
    .map((entries) => {
      const object: Record<string, T> = {}
      for (const [key, entry] of entries)
        Object.defineProperty(object, key, { value: entry, enumerable: true, configurable: true, writable: true })
      return object
    })

const grammar = fc
  .record({
    patterns: fc.uniqueArray(fc.constantFrom('G_{x}', 'G_{x}_{y}', 'H_{x}_{y}', 'G_a', 'H_{x}'), { minLength: 1 }),
    levels: fc.array(level, { minLength: 5, maxLength: 5 }),
    names: fc.constantFrom(undefined, { x: 'a-z_' }),
  })
  .map(({ patterns, levels, names }) =>
    groupGrammar({
      rules: patterns.map((pattern, index) => ({
        pattern,
        level: levels[index] ?? 'read',
        area: pattern.match(/\{\w\}/g) ?? [],
      })),
      names: patterns.some((pattern) => pattern.includes('{x}')) ? names : undefined,
      reserved: ['ROOT', 'x'],
    }),
  )

const issuer = (url: string): fc.Arbitrary<IssuerPermissions<string>> =>
  fc
    .record({
      issuer: fc.constant(url),
      groups: fc.option(table(GROUPS, level), { nil: undefined }),
      roles: fc.option(table(NAMES, level), { nil: undefined }),
      grammar: fc.option(grammar, { nil: undefined }),
    })
    .filter((entry) => entry.grammar !== undefined || Object.keys({ ...entry.groups, ...entry.roles }).length > 0)

const operation = fc.oneof(
  level,
  fc.record({ level, anywhere: fc.option(fc.boolean(), { nil: undefined }), scopes }, { requiredKeys: ['level'] }),
)

const areas: readonly DelegationRule<string>['area'][] = [
  undefined,
  ({ target }) => [target],
  ({ target, principal }) => [target, principal],
  ({ target }) => {
    if (target === 'b') throw new Error('no such target')
    return []
  },
]
const delegation: fc.Arbitrary<DelegationRule<string>> = fc.record({
  modules: some(...MODULES),
  types: fc.option(some(...TYPES), { nil: undefined, freq: 2 }),
  targets: fc.option(some(...NAMES), { nil: undefined, freq: 2 }),
  principals: fc.option(some(...NAMES), { nil: undefined, freq: 2 }),
  level,
  area: fc.constantFrom(...areas),
  scopes,
})

const options: fc.Arbitrary<Options> = fc
  .record({
    levels: fc.constant(LEVELS),
    issuers: fc.tuple(...ISSUERS.map(issuer)).chain((both) => fc.shuffledSubarray(both, { minLength: 1 })),
    tools: table(NAMES, operation),
    resources: fc.option(table(NAMES, operation), { nil: undefined }),
    prompts: fc.option(table(NAMES, operation), { nil: undefined }),
    delegations: fc.option(fc.array(delegation, { minLength: 1, maxLength: 4 }), { nil: undefined, freq: 9 }),
    scopeHierarchy: fc.option(table(SCOPES, fc.uniqueArray(fc.constantFrom(...SCOPES), { maxLength: 2 })), {
      nil: undefined,
    }),
    delegates: table(MODULES, fc.oneof(fc.constant('any' as const), some(...NAMES))),
    narrowed: fc.boolean(),
  })
  .map(({ delegates, narrowed, ...given }) => {
    const known = new Set(given.delegations?.flatMap(({ modules }) => modules))
    const [tool] = Object.keys(given.tools)
    if (!narrowed || tool === undefined) return given
    const rule = Object.getOwnPropertyDescriptor(given.tools, tool)?.value as string | ToolRule<string>
    const named = Object.entries(delegates).filter(([module]) => known.has(module))
    const value = { ...(typeof rule === 'string' ? { level: rule } : rule), delegates: Object.fromEntries(named) }
    Object.defineProperty(given.tools, tool, { value, enumerable: true, configurable: true, writable: true })
    return given
  })

const session: fc.Arbitrary<Session> = fc
  .record({
    issuer: fc.constantFrom(...ISSUERS, 'https://one.example/'),
    groups: fc.uniqueArray(fc.constantFrom(...GROUPS), { maxLength: 8 }).map((names) => new Set(names)),
    roles: fc.uniqueArray(name, { maxLength: 2 }).map((names) => new Set(names)),
    scopes: fc.uniqueArray(fc.constantFrom(...SCOPES), { maxLength: 3 }).map((names) => new Set(names)),
    groupsComplete: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
  })
  .map((claims) => testSession(claims))

const attempt = fc.record({
  tool: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, name),
  module: fc.oneof({ weight: 3, arbitrary: fc.constant('vc') }, fc.constantFrom(...MODULES, 'constructor')),
  type: fc.constantFrom(...TYPES),
  target: name,
  principal: name,
})

function verdictOn(decision: Decision): Verdict {
  if (decision.allowed) return 'allowed'
  return decision.scopes === undefined ? 'refused' : { scopes: decision.scopes }
}

it('decides as a reading of the rules one by one does', () => {
  const seen = { allowed: 0, refused: 0, scopes: 0 }
  const count = (verdict: Verdict): number => seen[typeof verdict === 'string' ? verdict : 'scopes']++
  fc.assert(
    fc.property(options, fc.array(session, { minLength: 1, maxLength: 4 }), (given, sessions) => {
      const policy = permissions(given)
      for (const who of sessions)
        for (const asked of NAMES) {
          const decisions: Readonly<Record<OperationKind, Decision>> = {
            tool: policy.tool({ session: who, tool: asked }),
            resource: policy.resource({ session: who, resource: asked }),
            prompt: policy.prompt({ session: who, prompt: asked }),
          }
          for (const kind of ['tool', 'resource', 'prompt'] as const) {
            const expected = judgeUse(given, who, kind, asked)
            expect(verdictOn(decisions[kind])).toEqual(expected)
            expect(policy.explain(who, asked, kind).allowed).toBe(expected === 'allowed')
            count(expected)
          }
        }
    }),
    runs(600),
  )
  expectOften(seen, 600)
})

it('gives credentials as a reading of the rules one by one does', () => {
  const seen = { allowed: 0, refused: 0, scopes: 0 }
  fc.assert(
    fc.property(options, session, fc.array(attempt, { minLength: 6, maxLength: 12 }), (given, who, attempts) => {
      const policy = permissions(given)
      for (const asked of attempts) {
        const whole: DelegationAttempt = { session: who, ...asked }
        const [decision, expected] = [verdictOn(policy.delegation(whole)), judgeDelegation(given, whole)]
        // Where several rules lack scopes, any of them may be the one that is named.
        if (typeof expected === 'string') expect(decision).toBe(expected)
        else expect(typeof decision).toBe('object')
        seen[typeof expected === 'string' ? expected : 'scopes']++
      }
    }),
    runs(1_500),
  )
  expectOften(seen, 1_500)
})

it('finds in each area the levels that its grants say', () => {
  let inParts = 0
  fc.assert(
    fc.property(options, session, (given, who) => {
      const policy = permissions(given)
      const held = heldBy(given, who)
      for (const area of AREAS) {
        const rank = rankAt(held, area)
        expect(policy.levelsOf(who, area)).toEqual(LEVELS.slice(0, rank + 1))
        expect(policy.levelOf(who, area)).toBe(LEVELS[rank])
        if (rank > rankAt(held, [])) inParts++
      }
      const grants = policy.grantsOf(who)
      const texts = grants.map(({ area }) => JSON.stringify(area))
      expect(new Set(texts).size).toBe(texts.length)
      expect(new Set(texts)).toEqual(new Set(held.map(({ area }) => JSON.stringify(area))))
      for (const { level: granted, area } of grants) {
        const ranks = held.filter((one) => JSON.stringify(one.area) === JSON.stringify(area)).map(({ rank }) => rank)
        expect(LEVELS.indexOf(granted)).toBe(Math.max(...ranks))
      }
    }),
    runs(600),
  )
  expectOften({ inParts }, 600)
})

it('takes nothing away from who has one group or one scope more', () => {
  fc.assert(
    fc.property(
      options,
      session,
      fc.constantFrom(...GROUPS),
      fc.constantFrom(...SCOPES),
      (given, who, group, scope) => {
        const policy = permissions(given)
        const { issuer: url, groups, roles, scopes: held, groupsComplete } = who
        const more = testSession({
          issuer: url,
          groups: new Set([...groups, group]),
          roles: new Set(roles),
          scopes: new Set([...held, scope]),
          groupsComplete,
        })
        for (const tool of NAMES)
          if (policy.tool({ session: who, tool }).allowed)
            expect(policy.tool({ session: more, tool }).allowed).toBe(true)
      },
    ),
    runs(500),
  )
})
