import { expectTypeOf, test } from 'vitest'
import type { Area, Grant, GroupGrammar, Permissions, Policy, Session } from '../src/index.ts'
import { groupGrammar, permissions } from '../src/index.ts'

declare const session: Session

const policy = permissions({
  levels: ['read', 'write'],
  issuers: [{ issuer: 'https://idp.example', groups: { readers: 'read' } }],
  tools: { list: 'read', change: { level: 'write', delegates: { backend: 'any' } } },
  delegations: [{ modules: ['backend'], level: 'read', area: ({ target }) => [target] }],
})

test('the levels are those that are named, and what it answers is one of them', () => {
  expectTypeOf(policy).toEqualTypeOf<Permissions<'read' | 'write'>>()
  expectTypeOf(policy).toExtend<Policy>()
  expectTypeOf(policy.levelOf(session)).toEqualTypeOf<'read' | 'write' | undefined>()
  expectTypeOf(policy.levelsOf(session, ['north'])).toEqualTypeOf<readonly ('read' | 'write')[]>()
  expectTypeOf(policy.grantsOf(session)).toEqualTypeOf<readonly Grant<'read' | 'write'>[]>()
  expectTypeOf(policy.requiredLevel('list', 'prompt')).toEqualTypeOf<'read' | 'write' | undefined>()
  expectTypeOf(policy.levelsOf).parameter(1).toEqualTypeOf<Area | undefined>()
  // @ts-expect-error no kind of operation
  policy.requiredLevel('list', 'module')
  // @ts-expect-error not a session
  policy.levelsOf({ groups: new Set(['readers']) })
})

const levels = ['read', 'write'] as const
const issuers = [{ issuer: 'https://idp.example', groups: { readers: 'read' } }] as const

test('the name of a level that there is not does not compile, wherever it stands', () => {
  // @ts-expect-error of a group
  permissions({ levels, issuers: [{ issuer: 'https://idp.example', groups: { readers: 'raed' } }], tools: {} })
  // @ts-expect-error of a role
  permissions({ levels, issuers: [{ issuer: 'https://idp.example', roles: { reader: 'READ' } }], tools: {} })
  // @ts-expect-error of a tool
  permissions({ levels, issuers, tools: { list: 'raed' } })
  // @ts-expect-error of a tool's rule
  permissions({ levels, issuers, tools: { list: { level: 'admin' } } })
  // @ts-expect-error of a resource
  permissions({ levels, issuers, tools: {}, resources: { inventory: 'admin' } })
  // @ts-expect-error of a prompt
  permissions({ levels, issuers, tools: {}, prompts: { report: { level: 'admin' } } })
  // @ts-expect-error of a delegation rule
  permissions({ levels, issuers, tools: {}, delegations: [{ modules: ['backend'], level: 'admin' }] })
  const grammar = groupGrammar({ rules: [{ pattern: 'G_{x}', area: ['{x}'], level: 'admin' }] })
  expectTypeOf(grammar).toEqualTypeOf<GroupGrammar<'admin'>>()
  // @ts-expect-error of a grammar
  permissions({ levels, issuers: [{ issuer: 'https://idp.example', grammar }], tools: {} })
})

test('a grammar of some of the levels is one for all of them', () => {
  const grammar = groupGrammar({ rules: [{ pattern: 'G_{x}', area: ['{x}'], level: 'read' }] })
  const some = permissions({ levels, issuers: [{ issuer: 'https://idp.example', grammar }], tools: { list: 'write' } })
  expectTypeOf(some).toEqualTypeOf<Permissions<'read' | 'write'>>()
})

test('what is misspelled or missing does not compile', () => {
  // @ts-expect-error no tools
  permissions({ levels, issuers })
  // @ts-expect-error a condition of another name
  permissions({ levels, issuers, tools: { list: { level: 'read', scope: 'vm:read' } } })
  // @ts-expect-error only tools ask for credentials
  permissions({ levels, issuers, tools: {}, prompts: { report: { level: 'read', delegates: {} } } })
  const area = (): string => 'north'
  // @ts-expect-error an area is a list
  permissions({ levels, issuers, tools: {}, delegations: [{ modules: ['backend'], level: 'read', area }] })
  // @ts-expect-error a limit has a time
  permissions({ levels, issuers, tools: {}, rateLimits: { all: { calls: 1 } } })
  // @ts-expect-error patterns are texts
  groupGrammar({ rules: [{ pattern: /G_.*/, level: 'read' }] })
})
