import { describe, expect, test } from 'vitest'
import { groupGrammar } from '../src/group-grammar.ts'
import type { Logger } from '../src/log.ts'
import type { DelegationRule, PermissionsOptions } from '../src/permission-options.ts'
import { type Permissions, permissions } from '../src/permissions.ts'
import type { DelegationAttempt } from '../src/policy.ts'
import { DelegationRegistry } from '../src/registry.ts'
import type { Session } from '../src/session.ts'
import { fakeClock, memoryAudit, testSession } from '../src/testing/index.ts'
import { testModule } from './support.ts'

const ISSUER = 'https://idp.example'
const LEVELS = ['READ_ONLY', 'POWER_OPS', 'VM_LIFECYCLE', 'HOST_ADMIN', 'FULL_ADMIN'] as const
type Level = (typeof LEVELS)[number]

const OPTIONS: PermissionsOptions<Level> = {
  levels: LEVELS,
  issuers: [
    {
      issuer: ISSUER,
      groups: {
        'vsphere-readers': 'READ_ONLY',
        'vsphere-operators': 'POWER_OPS',
        'vsphere-super-admins': 'FULL_ADMIN',
      },
      roles: { host: 'HOST_ADMIN' },
      grammar: groupGrammar({
        rules: [
          { pattern: 'DC_{dc}_OPS', area: ['{dc}'], level: 'POWER_OPS' },
          { pattern: 'DC_{dc}_FOLDER_{folder}_ADMIN', area: ['{dc}', '{folder}'], level: 'HOST_ADMIN' },
        ],
      }),
    },
    { issuer: 'https://other.example', groups: { 'vsphere-readers': 'FULL_ADMIN', partners: 'READ_ONLY' } },
  ],
  tools: {
    list_vms: 'READ_ONLY',
    power_off: 'POWER_OPS',
    power_off_somewhere: { level: 'POWER_OPS', anywhere: true },
    create_vm: { level: 'VM_LIFECYCLE', scopes: ['vm:write', 'vm:create'] },
    delete_datacenter: { level: 'FULL_ADMIN' },
    peek: { level: 'READ_ONLY', delegates: { vcenter: ['vc1'], logs: 'any' } },
    ping: { level: 'READ_ONLY', delegates: {} },
  },
  resources: { inventory: { level: 'READ_ONLY', scopes: ['vm:read'] } },
  prompts: { report: 'POWER_OPS' },
  delegations: [
    { modules: ['vcenter'], level: 'READ_ONLY' },
    { modules: ['logs'], level: 'READ_ONLY' },
  ],
  scopeHierarchy: { 'vm:write': ['vm:read'], 'vm:all': ['vm:write', 'vm:create'] },
}
const policy = permissions(OPTIONS)

const withGroups = (...groups: string[]): Session => testSession({ groups: new Set(groups) })
const reader = withGroups('vsphere-readers')
const admin = withGroups('vsphere-super-admins')

function attempt(session: Session, given: Partial<DelegationAttempt> = {}): DelegationAttempt {
  return { session, tool: undefined, module: 'vcenter', type: 'vault', target: 'vc1', principal: 'alice', ...given }
}

describe('levels', () => {
  test('are the union over groups and roles, each including those before it', () => {
    expect(policy.levels).toEqual(LEVELS)
    expect(policy.levelsOf(reader)).toEqual(['READ_ONLY'])
    expect(policy.levelsOf(withGroups('vsphere-readers', 'vsphere-operators'))).toEqual(['READ_ONLY', 'POWER_OPS'])
    expect(policy.levelOf(withGroups('vsphere-operators', 'vsphere-readers'))).toBe('POWER_OPS')
    const both = testSession({ groups: new Set(['vsphere-readers']), roles: new Set(['host']) })
    expect(policy.levelOf(both)).toBe('HOST_ADMIN')
    expect(policy.levelsOf(admin)).toEqual(LEVELS)
  })

  test.each([
    [],
    ['unknown'],
    ['Vsphere-Readers'],
    ['vsphere-readers '],
    ['host'],
    ['__proto__'],
    ['constructor', 'toString', 'hasOwnProperty'],
    ['partners'],
  ])('nobody has one from %j', (...groups) => {
    const session = withGroups(...groups)
    expect(policy.levelsOf(session)).toEqual([])
    expect(policy.levelOf(session)).toBeUndefined()
    expect(policy.grantsOf(session)).toEqual([])
    expect(policy.tool({ session, tool: 'list_vms' })).toEqual({
      allowed: false,
      reason: 'this tool needs the level READ_ONLY',
    })
  })

  test('come from the entry of the own issuer alone', () => {
    const groups = new Set(['vsphere-readers', 'vsphere-super-admins'])
    expect(policy.levelOf(testSession({ issuer: 'https://other.example', groups }))).toBe('FULL_ADMIN')
    expect(policy.levelsOf(testSession({ issuer: 'https://other.example', groups: new Set(['host']) }))).toEqual([])
    expect(policy.levelsOf(testSession({ issuer: 'https://other.example/', groups }))).toEqual([])
    expect(policy.levelsOf(testSession({ issuer: 'https://third.example', groups }))).toEqual([])
    expect(policy.levelsOf(testSession({ roles: new Set(['vsphere-super-admins']) }))).toEqual([])
  })

  test('are none where the groups are not all known', () => {
    const session = testSession({ groups: new Set(['vsphere-super-admins']), groupsComplete: false })
    const refused = { allowed: false, reason: 'the groups of this user are not all known' }
    expect(policy.levelsOf(session)).toEqual([])
    expect(policy.grantsOf(session)).toEqual([])
    expect(policy.tool({ session, tool: 'list_vms' })).toEqual(refused)
    expect(policy.tool({ session, tool: 'unmapped' })).toEqual(refused)
    expect(policy.resource({ session, resource: 'inventory' })).toEqual(refused)
    expect(policy.prompt({ session, prompt: 'report' })).toEqual(refused)
    expect(policy.delegation(attempt(session))).toEqual(refused)
    expect(policy.explain(session, 'list_vms')).toMatchObject({ ...refused, grants: [], ignored: [] })
  })

  test('are none for what is not a session, whatever it looks like', () => {
    for (const forged of [{ ...admin }, Object.create(admin), null, undefined, 'admin'] as Session[]) {
      expect(policy.levelsOf(forged)).toEqual([])
      expect(policy.grantsOf(forged)).toEqual([])
      const refused = { allowed: false, reason: 'the session is not valid' }
      expect(policy.tool({ session: forged, tool: 'list_vms' })).toEqual(refused)
      expect(policy.resource({ session: forged, resource: 'inventory' })).toEqual(refused)
      expect(policy.delegation(attempt(forged))).toEqual(refused)
      expect(policy.explain(forged, 'list_vms')).toMatchObject({ ...refused, grants: [] })
      expect(() => policy.limit({ session: forged, kind: 'tool', name: 'list_vms' })).toThrow(TypeError)
    }
  })

  test('do not follow what is done to the object that was handed out', () => {
    const session = withGroups('vsphere-readers')
    Set.prototype.add.call(session.groups, 'vsphere-super-admins')
    Set.prototype.add.call(session.scopes, 'vm:all')
    expect(policy.levelOf(session)).toBe('READ_ONLY')
    expect(policy.explain(session, 'create_vm').missingScopes).toEqual(['vm:write', 'vm:create'])
  })

  test('are computed once for each session', () => {
    let reads = 0
    const counting = permissions({
      ...OPTIONS,
      issuers: [
        {
          issuer: ISSUER,
          grammar: {
            rules: [],
            read: () => {
              reads++
              return { grant: { level: 'READ_ONLY', area: [] } }
            },
          },
        },
      ],
    })
    const session = withGroups('one', 'two')
    for (let call = 0; call < 5; call++) expect(counting.tool({ session, tool: 'list_vms' }).allowed).toBe(true)
    counting.levelsOf(session)
    counting.explain(session, 'list_vms')
    expect(reads).toBe(2)
  })

  test('a machine has those of its roles', () => {
    expect(policy.levelOf(testSession({ kind: 'machine', roles: new Set(['host']) }))).toBe('HOST_ADMIN')
  })
})

describe('tools, resources and prompts', () => {
  test('take their level or a higher one', () => {
    expect(policy.tool({ session: reader, tool: 'list_vms' })).toEqual({ allowed: true })
    expect(policy.tool({ session: reader, tool: 'power_off' })).toEqual({
      allowed: false,
      reason: 'this tool needs the level POWER_OPS',
    })
    expect(policy.tool({ session: admin, tool: 'power_off' })).toEqual({ allowed: true })
    expect(policy.prompt({ session: reader, prompt: 'report' })).toEqual({
      allowed: false,
      reason: 'this prompt needs the level POWER_OPS',
    })
    expect(policy.prompt({ session: admin, prompt: 'report' })).toEqual({ allowed: true })
  })

  test.each(['unmapped', 'List_VMs', 'list_vms ', '', '__proto__', 'constructor', 'toString', 'inventory', 'report'])(
    'nobody may call what has no level: %j',
    (tool) => {
      expect(policy.tool({ session: admin, tool })).toEqual({
        allowed: false,
        reason: 'this tool has no level, so that nobody may call it',
      })
      expect(policy.requiredLevel(tool)).toBeUndefined()
    },
  )

  test('kinds do not share names', () => {
    expect(policy.resource({ session: admin, resource: 'list_vms' }).allowed).toBe(false)
    expect(policy.prompt({ session: admin, prompt: 'list_vms' }).allowed).toBe(false)
    expect(policy.requiredLevel('report')).toBeUndefined()
    expect(policy.requiredLevel('report', 'prompt')).toBe('POWER_OPS')
    expect(policy.requiredLevel('inventory', 'resource')).toBe('READ_ONLY')
    expect(policy.requiredLevel('create_vm')).toBe('VM_LIFECYCLE')
  })

  test('without resources and prompts none may be had', () => {
    const { resources: _, prompts: __, ...rest } = OPTIONS
    const bare = permissions(rest)
    expect(bare.resource({ session: admin, resource: 'inventory' }).allowed).toBe(false)
    expect(bare.prompt({ session: admin, prompt: 'report' }).allowed).toBe(false)
  })

  test('a level in an area is not one in the whole, unless it is enough anywhere', () => {
    const session = withGroups('DC_north_OPS')
    expect(policy.tool({ session, tool: 'power_off' })).toEqual({
      allowed: false,
      reason: 'this tool needs the level POWER_OPS in the whole, and not only in a part of it',
    })
    expect(policy.tool({ session, tool: 'power_off_somewhere' })).toEqual({ allowed: true })
    expect(policy.tool({ session: admin, tool: 'power_off_somewhere' })).toEqual({ allowed: true })
    expect(policy.tool({ session: reader, tool: 'power_off_somewhere' })).toEqual({
      allowed: false,
      reason: 'this tool needs the level POWER_OPS',
    })
  })
})

describe('areas', () => {
  test('a grant holds in its area and everything inside, the highest one counts', () => {
    const session = withGroups('vsphere-readers', 'DC_north_OPS', 'DC_north_FOLDER_web_ADMIN')
    expect(policy.levelOf(session)).toBe('READ_ONLY')
    expect(policy.levelOf(session, ['south'])).toBe('READ_ONLY')
    expect(policy.levelOf(session, ['north'])).toBe('POWER_OPS')
    expect(policy.levelOf(session, ['north', 'db'])).toBe('POWER_OPS')
    expect(policy.levelOf(session, ['north', 'web'])).toBe('HOST_ADMIN')
    expect(policy.levelOf(session, ['north', 'web', 'vm1'])).toBe('HOST_ADMIN')
    expect(policy.levelOf(session, ['web'])).toBe('READ_ONLY')
    expect(policy.levelOf(session, ['North', 'web'])).toBe('READ_ONLY')
    expect(policy.levelsOf(session, ['north'])).toEqual(['READ_ONLY', 'POWER_OPS'])
    expect(policy.grantsOf(session)).toEqual([
      { level: 'READ_ONLY', area: [] },
      { level: 'POWER_OPS', area: ['north'] },
      { level: 'HOST_ADMIN', area: ['north', 'web'] },
    ])
  })

  test('a name with what could be a separator is one name', () => {
    const session = testSession({ issuer: 'https://areas.example', groups: new Set(['a']) })
    const areas = permissions({
      levels: ['user'],
      issuers: [
        {
          issuer: 'https://areas.example',
          grammar: { rules: [], read: () => ({ grant: { level: 'user', area: ['1:a', 'b'] } }) },
        },
      ],
      tools: {},
    })
    expect(areas.levelOf(session, ['1:a', 'b'])).toBe('user')
    for (const area of [['1:a'], ['1', 'a', 'b'], ['1:a/b'], ['1:a1:b']])
      expect(areas.levelOf(session, area)).toBeUndefined()
  })

  test.each<unknown>([null, 'north', [1], [''], [undefined], Array(1), { length: 0 }, ['a\nb'], Array(17).fill('a')])(
    'nobody has a level in %j',
    (area) => {
      expect(policy.levelsOf(admin, area as never)).toEqual([])
    },
  )
})

describe('scopes', () => {
  const operators = new Set(['vsphere-super-admins'])
  const scoped = (...scopes: string[]): Session => testSession({ groups: operators, scopes: new Set(scopes) })

  test('are needed besides the level, all of them, or such that include them', () => {
    const refused = {
      allowed: false,
      reason: 'this tool needs the scopes vm:write, vm:create',
      scopes: ['vm:write', 'vm:create'],
    }
    for (const scopes of [[], ['vm:write'], ['vm:create'], ['vm:read'], ['VM:WRITE', 'vm:create']])
      expect(policy.tool({ session: scoped(...scopes), tool: 'create_vm' })).toEqual(refused)
    for (const scopes of [['vm:create', 'vm:write'], ['vm:all']])
      expect(policy.tool({ session: scoped(...scopes), tool: 'create_vm' })).toEqual({ allowed: true })
    expect(policy.resource({ session: scoped('vm:write'), resource: 'inventory' })).toEqual({ allowed: true })
    expect(policy.resource({ session: scoped('vm:create'), resource: 'inventory' })).toEqual({
      allowed: false,
      reason: 'this resource needs the scope vm:read',
      scopes: ['vm:read'],
    })
  })

  test('are not asked for where the level is missing: more of them would not help', () => {
    const session = testSession({ groups: new Set(['vsphere-readers']), scopes: new Set(['vm:read']) })
    const decision = policy.tool({ session, tool: 'create_vm' })
    expect(decision).toEqual({ allowed: false, reason: 'this tool needs the level VM_LIFECYCLE' })
    expect(policy.explain(session, 'create_vm').missingScopes).toEqual(['vm:write', 'vm:create'])
  })

  test('missing ones are those that nothing covers', () => {
    expect(policy.explain(scoped('vm:write'), 'create_vm').missingScopes).toEqual(['vm:create'])
    expect(policy.explain(scoped('vm:all'), 'create_vm').missingScopes).toEqual([])
  })
})

describe('delegation', () => {
  const of = (...delegations: DelegationRule<Level>[]): Permissions<Level> =>
    permissions({ ...OPTIONS, tools: {}, delegations })
  const NONE = { allowed: false, reason: 'no rule allows this credential' }

  test('without a rule nobody has a credential', () => {
    expect(of().delegation(attempt(admin))).toEqual(NONE)
    expect(policy.delegation(attempt(admin, { module: 'billing' }))).toEqual(NONE)
    expect(policy.delegation(attempt(admin, { module: '__proto__' }))).toEqual(NONE)
  })

  test.each<[keyof DelegationAttempt, keyof DelegationRule<Level>]>([
    ['module', 'modules'],
    ['type', 'types'],
    ['target', 'targets'],
    ['principal', 'principals'],
  ])('a rule holds for its %s alone', (asked, named) => {
    const rules = of({ modules: ['vcenter'], level: 'READ_ONLY', [named]: ['one', 'two'] })
    expect(rules.delegation(attempt(admin, { [asked]: 'two' }))).toEqual({ allowed: true })
    for (const other of ['three', 'One', 'one ', 'constructor', undefined])
      expect(rules.delegation(attempt(admin, { [asked]: other }))).toEqual(NONE)
  })

  test('all that a rule names must hold, and one rule must allow', () => {
    const rules = of(
      { modules: ['vcenter'], targets: ['vc1'], principals: ['alice'], level: 'POWER_OPS' },
      {
        modules: ['vcenter'],
        targets: ['vc2'],
        principals: ['shared'],
        types: ['service-account'],
        level: 'READ_ONLY',
      },
    )
    expect(rules.delegation(attempt(admin)).allowed).toBe(true)
    expect(rules.delegation(attempt(reader))).toEqual({
      allowed: false,
      reason: 'this credential needs the level POWER_OPS',
    })
    const shared = { target: 'vc2', principal: 'shared', type: 'service-account' }
    expect(rules.delegation(attempt(reader, shared)).allowed).toBe(true)
    for (const other of [{ target: 'vc1' }, { principal: 'alice' }, { type: 'vault' }])
      expect(rules.delegation(attempt(reader, { ...shared, ...other })).allowed).toBe(false)
  })

  test('scopes are asked for where the level is there, also by a later rule', () => {
    const rules = of(
      { modules: ['vcenter'], level: 'FULL_ADMIN' },
      { modules: ['vcenter'], level: 'READ_ONLY', scopes: ['vm:read'] },
      { modules: ['vcenter'], level: 'HOST_ADMIN' },
    )
    expect(rules.delegation(attempt(reader))).toEqual({
      allowed: false,
      reason: 'this credential needs the scope vm:read',
      scopes: ['vm:read'],
    })
    const scoped = testSession({ groups: new Set(['vsphere-readers']), scopes: new Set(['vm:write']) })
    expect(rules.delegation(attempt(scoped)).allowed).toBe(true)
    expect(rules.delegation(attempt(admin)).allowed).toBe(true)
    expect(rules.delegation(attempt(withGroups()))).toEqual({
      allowed: false,
      reason: 'this credential needs the level READ_ONLY',
    })
  })

  test('scopes are asked for where another rule takes a level elsewhere', () => {
    const rules = of(
      { modules: ['vcenter'], level: 'POWER_OPS', scopes: ['vm:read'] },
      { modules: ['vcenter'], level: 'READ_ONLY', area: () => ['north'] },
    )
    const session = withGroups('DC_south_OPS')
    expect(rules.delegation(attempt(session))).toEqual({
      allowed: false,
      reason: 'this credential needs the level READ_ONLY',
    })
    const elsewhere = of(
      { modules: ['vcenter'], level: 'POWER_OPS', scopes: ['vm:read'], area: () => ['south'] },
      { modules: ['vcenter'], level: 'READ_ONLY', area: () => ['north'] },
    )
    expect(elsewhere.delegation(attempt(session))).toMatchObject({ scopes: ['vm:read'] })
  })

  test('of several levels, the refusal names the one that takes least', () => {
    const rules = of({ modules: ['vcenter'], level: 'FULL_ADMIN' }, { modules: ['vcenter'], level: 'POWER_OPS' })
    expect(rules.delegation(attempt(reader))).toEqual({
      allowed: false,
      reason: 'this credential needs the level POWER_OPS',
    })
  })

  test('an area says where the level must hold', () => {
    const rules = of({ modules: ['vcenter'], level: 'POWER_OPS', area: ({ target }) => target.split('/') })
    const session = withGroups('DC_north_OPS', 'DC_south_FOLDER_web_ADMIN')
    const allowed = (target: string): boolean => rules.delegation(attempt(session, { target })).allowed
    expect(['north', 'north/web', 'south/web', 'south/web/vm1'].map(allowed)).toEqual([true, true, true, true])
    expect(['south', 'south/db', 'web', 'North', 'north/', ''].map(allowed)).toEqual([
      false,
      false,
      false,
      false,
      false,
      false,
    ])
    const whole = of({ modules: ['vcenter'], level: 'POWER_OPS' })
    expect(whole.delegation(attempt(session, { target: 'north' })).allowed).toBe(false)
  })

  const failing: Readonly<Record<string, () => unknown>> = {
    'that throws': () => {
      throw new Error('no such target')
    },
    'that answers nothing': () => undefined,
    'that answers a text': () => 'north',
    'that answers a promise': async () => [],
    'that answers a promise that fails': () => Promise.reject(new Error('late')),
    'that answers a list with a hole': () => Array(1),
    'that answers a list of numbers': () => [1],
    'that answers a set': () => new Set(['north']),
  }
  test.each(Object.entries(failing))('an area %s refuses, and the operator learns why', (_, area) => {
    const errors: string[] = []
    const log = { debug() {}, info() {}, warn() {}, error: (_fields: object, message: string) => errors.push(message) }
    const rules = permissions({
      ...OPTIONS,
      tools: {},
      log: log as unknown as Logger,
      delegations: [{ modules: ['vcenter'], level: 'READ_ONLY', area: area as never }],
    })
    expect(rules.delegation(attempt(admin))).toEqual({
      allowed: false,
      reason: 'it is not known where this credential takes effect',
    })
    expect(errors).toEqual(['the area of a delegation rule failed'])
  })

  test('an area that throws takes nothing away from another rule', () => {
    const area = (): never => {
      throw new Error('no such target')
    }
    const rules = of({ modules: ['vcenter'], level: 'READ_ONLY', area }, { modules: ['vcenter'], level: 'READ_ONLY' })
    expect(rules.delegation(attempt(reader)).allowed).toBe(true)
  })

  test('a tool narrows it by module and target', () => {
    const ask = (given: Partial<DelegationAttempt>): unknown => policy.delegation(attempt(admin, given))
    const refused = { allowed: false, reason: 'this tool may not have this credential' }
    expect(ask({ tool: 'list_vms', target: 'vc9' })).toEqual({ allowed: true })
    expect(ask({ tool: 'peek', target: 'vc1' })).toEqual({ allowed: true })
    expect(ask({ tool: 'peek', target: 'vc2' })).toEqual(refused)
    expect(ask({ tool: 'peek', module: 'logs', target: 'anything' })).toEqual({ allowed: true })
    expect(ask({ tool: 'peek', module: 'constructor' })).toEqual(refused)
    expect(ask({ tool: 'ping' })).toEqual(refused)
    expect(ask({ tool: undefined, target: 'vc2' })).toEqual({ allowed: true })
  })

  test('a tool that the caller may not call gets no credential', () => {
    expect(policy.delegation(attempt(reader, { tool: 'power_off' }))).toEqual({
      allowed: false,
      reason: 'this tool needs the level POWER_OPS',
    })
    expect(policy.delegation(attempt(admin, { tool: 'unmapped' }))).toMatchObject({ allowed: false })
    expect(policy.delegation(attempt(admin, { tool: 'create_vm' }))).toMatchObject({
      scopes: ['vm:write', 'vm:create'],
    })
  })
})

describe('limit', () => {
  const clock = fakeClock()
  const limited = permissions({
    ...OPTIONS,
    clock,
    rateLimits: { all: { calls: 3, per: 3_000 }, tools: { power_off: { calls: 1, per: 60_000 } } },
  })
  const call = (session: Session, tool: string): number | undefined => {
    const until = limited.limit({ session, kind: 'tool', name: tool })
    return until && until.getTime() - clock.now()
  }

  test('is none by default', () => {
    for (let calls = 0; calls < 1_000; calls++)
      expect(policy.limit({ session: reader, kind: 'tool', name: 'list_vms' })).toBeUndefined()
  })

  test('counts resources and prompts with all, and no tool of their name', () => {
    const session = testSession({ subject: 'reading' })
    const left = ['resource', 'prompt', 'resource', 'prompt'] as const
    const asked = left.map((kind) => limited.limit({ session, kind, name: 'power_off' }))
    expect(asked.map((until) => until === undefined)).toEqual([true, true, true, false])
  })

  test('counts each user, whatever the token, over all tools and for single ones', () => {
    const token = (): Session => testSession({ subject: 'bob' })
    expect(call(token(), 'power_off')).toBeUndefined()
    expect(call(token(), 'power_off')).toBe(60_000)
    expect(call(token(), 'list_vms')).toBeUndefined()
    expect(call(token(), 'create_vm')).toBeUndefined()
    expect(call(token(), 'list_vms')).toBe(1_000)
    expect(call(testSession({ subject: 'carol' }), 'power_off')).toBeUndefined()
    expect(call(testSession({ subject: 'bob', issuer: 'https://other.example' }), 'power_off')).toBeUndefined()
    clock.tick(1_000)
    expect(call(token(), 'list_vms')).toBeUndefined()
    expect(call(token(), 'constructor')).toBe(1_000)
  })
})

describe('explain', () => {
  test('says where a permission comes from', () => {
    const session = withGroups('vsphere-operators', 'vsphere-super-admins', 'DC_north_OPS', 'staff')
    expect(policy.explain(session, 'power_off')).toEqual({
      allowed: true,
      reason:
        'this tool needs the level POWER_OPS; the caller has FULL_ADMIN from vsphere-super-admins and POWER_OPS in north from DC_north_OPS',
      required: 'POWER_OPS',
      grants: [
        { level: 'FULL_ADMIN', area: [], from: ['vsphere-super-admins'] },
        { level: 'POWER_OPS', area: ['north'], from: ['DC_north_OPS'] },
      ],
      ignored: [{ name: 'staff', reason: 'it follows no rule' }],
      missingScopes: [],
    })
  })

  test('says why not', () => {
    expect(policy.explain(withGroups('staff'), 'list_vms').reason).toBe(
      'this tool needs the level READ_ONLY; the caller has no level',
    )
    expect(policy.explain(reader, 'nothing')).toMatchObject({
      allowed: false,
      reason: 'this tool has no level, so that nobody may call it; the caller has READ_ONLY from vsphere-readers',
      required: undefined,
      missingScopes: [],
    })
    expect(policy.explain(admin, 'inventory', 'resource')).toMatchObject({
      allowed: false,
      required: 'READ_ONLY',
      missingScopes: ['vm:read'],
    })
    const foreign = testSession({ issuer: 'https://third.example', groups: new Set(['g']), roles: new Set(['r']) })
    expect(policy.explain(foreign, 'list_vms').ignored).toEqual([
      { name: 'g', reason: 'the groups of this issuer grant nothing' },
      { name: 'r', reason: 'the roles of this issuer grant nothing' },
    ])
    const partner = testSession({ issuer: 'https://other.example', groups: new Set(['g']), roles: new Set(['r']) })
    expect(policy.explain(partner, 'list_vms').ignored).toEqual([
      { name: 'g', reason: 'the group grants nothing' },
      { name: 'r', reason: 'the role grants nothing' },
    ])
  })

  test('names all that grant the same, and no more than five grants in the sentence', () => {
    const same = withGroups('vsphere-super-admins', ...['a', 'b', 'c', 'd', 'e', 'f'].map((dc) => `DC_${dc}_OPS`))
    const { reason, grants } = policy.explain(same, 'list_vms')
    expect(grants).toHaveLength(7)
    expect(reason).toMatch(/ and POWER_OPS in d from DC_d_OPS and 2 more$/)
    const two = testSession({ groups: new Set(['host', 'vsphere-readers']), roles: new Set(['host']) })
    expect(policy.explain(two, 'list_vms').grants).toEqual([{ level: 'HOST_ADMIN', area: [], from: ['host'] }])
    const twice = permissions({
      levels: ['user'],
      issuers: [{ issuer: ISSUER, groups: { a: 'user', b: 'user' }, roles: { a: 'user' } }],
      tools: {},
    })
    const session = testSession({ groups: new Set(['a', 'b']), roles: new Set(['a']) })
    expect(twice.explain(session, 'x').grants).toEqual([{ level: 'user', area: [], from: ['a', 'b'] }])
  })

  test('agrees with the decision', () => {
    for (const session of [reader, admin, withGroups(), withGroups('DC_north_OPS')])
      for (const tool of [...Object.keys(OPTIONS.tools), 'unmapped'])
        expect(policy.explain(session, tool).allowed).toBe(policy.tool({ session, tool }).allowed)
  })
})

test('summary says what each level adds, and who grants it', () => {
  expect(policy.summary()).toEqual([
    {
      level: 'READ_ONLY',
      tools: ['list_vms', 'peek', 'ping'],
      resources: ['inventory'],
      prompts: [],
      grantedBy: [
        { issuer: ISSUER, kind: 'group', name: 'vsphere-readers' },
        { issuer: 'https://other.example', kind: 'group', name: 'partners' },
      ],
    },
    {
      level: 'POWER_OPS',
      tools: ['power_off', 'power_off_somewhere'],
      resources: [],
      prompts: ['report'],
      grantedBy: [
        { issuer: ISSUER, kind: 'group', name: 'vsphere-operators' },
        { issuer: ISSUER, kind: 'pattern', name: 'DC_{dc}_OPS' },
      ],
    },
    { level: 'VM_LIFECYCLE', tools: ['create_vm'], resources: [], prompts: [], grantedBy: [] },
    {
      level: 'HOST_ADMIN',
      tools: [],
      resources: [],
      prompts: [],
      grantedBy: [
        { issuer: ISSUER, kind: 'pattern', name: 'DC_{dc}_FOLDER_{folder}_ADMIN' },
        { issuer: ISSUER, kind: 'role', name: 'host' },
      ],
    },
    {
      level: 'FULL_ADMIN',
      tools: ['delete_datacenter'],
      resources: [],
      prompts: [],
      grantedBy: [
        { issuer: ISSUER, kind: 'group', name: 'vsphere-super-admins' },
        { issuer: 'https://other.example', kind: 'group', name: 'vsphere-readers' },
      ],
    },
  ])
})

describe('a grammar of somebody else', () => {
  test.each<[string, unknown]>([
    ['an unknown level', { grant: { level: 'ROOT', area: [] } }],
    ['no area', { grant: { level: 'FULL_ADMIN' } }],
    ['a malformed area', { grant: { level: 'FULL_ADMIN', area: [''] } }],
    ['nothing', undefined],
    ['an error', new Error('broken')],
  ])('that answers %s grants nothing', (_, answer) => {
    const read = (): never => {
      if (answer instanceof Error) throw answer
      return answer as never
    }
    const rules = permissions({ ...OPTIONS, issuers: [{ issuer: ISSUER, grammar: { rules: [], read } }] })
    expect(rules.levelsOf(reader)).toEqual([])
    expect(rules.explain(reader, 'list_vms').ignored).toEqual([
      { name: 'vsphere-readers', reason: 'the grammar failed' },
    ])
  })

  test('is not asked about groups that have an exact entry', () => {
    const rules = permissions({
      levels: ['low', 'high'],
      issuers: [
        {
          issuer: ISSUER,
          groups: { G_A: 'low' },
          grammar: groupGrammar({ rules: [{ pattern: 'G_{x}', area: ['{x}'], level: 'high' }] }),
        },
      ],
      tools: {},
    })
    expect(rules.grantsOf(withGroups('G_A'))).toEqual([{ level: 'low', area: [] }])
  })
})

test('groups that grant nothing are logged once for each session, and a logger that fails changes nothing', () => {
  const logged: [object, string][] = []
  const debug = (fields: object, message: string): never => {
    logged.push([fields, message])
    throw new Error('the disk is full')
  }
  const log: Logger = { debug, info: debug, warn: debug, error: debug }
  const rules = permissions({ ...OPTIONS, log })
  const session = withGroups('vsphere-readers', 'staff')
  for (let call = 0; call < 3; call++) expect(rules.tool({ session, tool: 'list_vms' }).allowed).toBe(true)
  expect(logged).toEqual([
    [
      { issuer: ISSUER, subject: 'alice', ignored: [{ name: 'staff', reason: 'it follows no rule' }] },
      'groups and roles that grant nothing',
    ],
  ])
})

test('later changes of the options change nothing', () => {
  const groups: Record<string, Level> = { 'vsphere-readers': 'READ_ONLY' }
  const tools: Record<string, Level> = { power_off: 'POWER_OPS' }
  const levels: Level[] = [...LEVELS]
  const rules = permissions({ levels, issuers: [{ issuer: ISSUER, groups }], tools })
  groups['vsphere-readers'] = 'FULL_ADMIN'
  tools['power_off'] = 'READ_ONLY'
  levels.reverse()
  expect(rules.levels).toEqual(LEVELS)
  expect(rules.tool({ session: reader, tool: 'power_off' }).allowed).toBe(false)
  for (const value of [rules, rules.levels]) expect(Object.isFrozen(value)).toBe(true)
})

test('what it hands out may be changed, and changes nothing', () => {
  const session = withGroups('vsphere-readers', 'staff')
  const { grants, ignored } = policy.explain(session, 'power_off')
  for (const { from } of grants) (from as string[]).push('x')
  Object.assign(ignored[0] ?? {}, { name: 'x' })
  ;(policy.levelsOf(session) as Level[]).push('FULL_ADMIN')
  expect(policy.explain(session, 'power_off')).toMatchObject({
    grants: [{ from: ['vsphere-readers'] }],
    ignored: [{ name: 'staff' }],
  })
  expect(policy.levelsOf(session)).toEqual(['READ_ONLY'])
})

test('a name of Object.prototype counts where it is an entry', () => {
  const own = JSON.parse('{"__proto__":"user","constructor":"user"}') as Record<string, 'user'>
  const rules = permissions({ levels: ['user'], issuers: [{ issuer: ISSUER, groups: own }], tools: own })
  for (const name of ['__proto__', 'constructor']) {
    expect(rules.tool({ session: withGroups(name), tool: name }).allowed).toBe(true)
    expect(rules.tool({ session: withGroups('toString'), tool: name }).allowed).toBe(false)
  }
  const inherited = Object.create({ users: 'user' }) as Record<string, 'user'>
  expect(() => permissions({ levels: ['user'], issuers: [{ issuer: ISSUER, groups: inherited }], tools: {} })).toThrow(
    '"issuers[0]"',
  )
})

test('a registry asks it about tools, credentials and rates', async () => {
  const clock = fakeClock()
  const audit = memoryAudit()
  await using registry = new DelegationRegistry({
    modules: { vcenter: testModule({ clock }) },
    audit,
    clock,
    policy: permissions({ ...OPTIONS, clock, rateLimits: { all: { calls: 1, per: 1_000 } } }),
  })
  expect(registry.decide(reader, 'list_vms')).toEqual({ allowed: true })
  expect(registry.decide(reader, 'power_off')).toMatchObject({ reason: 'this tool needs the level POWER_OPS' })
  expect(registry.decide(admin, 'create_vm')).toMatchObject({ scopes: ['vm:write', 'vm:create'] })
  registry.count(reader, 'list_vms')
  expect(() => registry.count(reader, 'list_vms')).toThrow(
    expect.objectContaining({ code: 'ERR_RATE_LIMITED', retryAfter: new Date(clock.now() + 1_000) }),
  )
  await using lease = await registry.delegate('vcenter', reader, { target: 'vc1' }, { tool: 'peek' })
  expect(lease.value.user).toBe('alice')
  await expect(registry.delegate('vcenter', reader, { target: 'vc2' }, { tool: 'peek' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_DENIED',
    message: 'the policy refused: this tool may not have this credential',
  })
  await expect(registry.delegate('vcenter', admin, { target: 'vc1' }, { tool: 'create_vm' })).rejects.toMatchObject({
    code: 'ERR_SESSION_SCOPE',
    scopes: ['vm:write', 'vm:create'],
  })
  const unresolved = testSession({ groups: new Set(['vsphere-super-admins']), groupsComplete: false })
  await expect(registry.delegate('vcenter', unresolved, { target: 'vc1' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_DENIED',
  })
})

describe('permissions refuses', () => {
  const having = (given: object): unknown => ({ ...OPTIONS, ...given })
  const issuer = { issuer: ISSUER, groups: { readers: 'READ_ONLY' } }
  const rule = { modules: ['vcenter'], level: 'READ_ONLY' }
  const tool = { level: 'READ_ONLY' }
  test.each<[string, unknown]>([
    ['"options" must', undefined],
    ['"options" must', []],
    ['"options" has no member groups', having({ groups: {} })],
    ['"levels" must be a list', having({ levels: [] })],
    ['"levels" must be a list', having({ levels: 'READ_ONLY' })],
    ['"levels" must be a list', having({ levels: ['', 'a'] })],
    ['"levels" must not name anything twice', having({ levels: [...LEVELS, 'READ_ONLY'] })],
    ['"issuers" must', having({ issuers: undefined })],
    ['"issuers" must', having({ issuers: [] })],
    ['"issuers[0]" must', having({ issuers: [null] })],
    ['"issuers[0]" has no member group', having({ issuers: [{ issuer: ISSUER, group: {} }] })],
    ['"issuers[0].issuer" must', having({ issuers: [{ ...issuer, issuer: '' }] })],
    ['"issuers[1].issuer" has an entry already', having({ issuers: [issuer, issuer] })],
    ['"issuers[0]" must have groups, roles or a grammar', having({ issuers: [{ issuer: ISSUER, groups: {} }] })],
    ['"issuers[0].groups" must', having({ issuers: [{ issuer: ISSUER, groups: ['readers'] }] })],
    ['"issuers[0].groups" must have names', having({ issuers: [{ issuer: ISSUER, groups: { '': 'READ_ONLY' } }] })],
    [
      '"issuers[0].groups.g" must be one of the levels',
      having({ issuers: [{ issuer: ISSUER, groups: { g: 'ROOT' } }] }),
    ],
    ['"issuers[0].roles.r" must be one of the levels', having({ issuers: [{ issuer: ISSUER, roles: { r: 0 } }] })],
    ['"issuers[0].grammar" must', having({ issuers: [{ issuer: ISSUER, grammar: /CS_/ }] })],
    [
      '"issuers[0].grammar.rules[0].level" must be one of the levels',
      having({ issuers: [{ issuer: ISSUER, grammar: groupGrammar({ rules: [{ pattern: 'G', level: 'ROOT' }] }) }] }),
    ],
    ['"tools" must', having({ tools: undefined })],
    ['"tools" must', having({ tools: ['list_vms'] })],
    ['"tools" must have names', having({ tools: { 'a\nb': 'READ_ONLY' } })],
    ['"tools" must have names', having({ tools: { ['a'.repeat(129)]: 'READ_ONLY' } })],
    [`"tools.t" must be one of the levels ${LEVELS.join(', ')}`, having({ tools: { t: 'read_only' } })],
    ['"tools.t" must be an object', having({ tools: { t: undefined } })],
    ['"tools.t" has no member scope', having({ tools: { t: { ...tool, scope: 'a' } } })],
    ['"tools.t.level" must be one of the levels', having({ tools: { t: {} } })],
    ['"tools.t.anywhere" must be a boolean', having({ tools: { t: { ...tool, anywhere: 'yes' } } })],
    ['"tools.t.scopes" must be a list', having({ tools: { t: { ...tool, scopes: ['a b'] } } })],
    ['"tools.t.delegates" must', having({ tools: { t: { ...tool, delegates: ['vcenter'] } } })],
    ['"tools.t.delegates.vcenter" must', having({ tools: { t: { ...tool, delegates: { vcenter: [] } } } })],
    ['"tools.t.delegates.vcenter" must', having({ tools: { t: { ...tool, delegates: { vcenter: 'all' } } } })],
    ['"tools.t.delegates.x" is a module of no', having({ tools: { t: { ...tool, delegates: { x: 'any' } } } })],
    ['"resources" must', having({ resources: null })],
    ['"resources.r" has no member delegates', having({ resources: { r: { ...tool, delegates: {} } } })],
    ['"prompts.p" must be one of the levels', having({ prompts: { p: 'ROOT' } })],
    ['"delegations" must', having({ delegations: {} })],
    ['"delegations[0]" must', having({ delegations: ['vcenter'] })],
    ['"delegations[0]" has no member target', having({ delegations: [{ ...rule, target: 'vc1' }] })],
    ['"delegations[0].modules" must', having({ delegations: [{ ...rule, modules: [] }] })],
    ['"delegations[0].modules" must', having({ delegations: [{ ...rule, modules: 'vcenter' }] })],
    ['"delegations[0].types" must', having({ delegations: [{ ...rule, types: [] }] })],
    ['"delegations[0].targets" must', having({ delegations: [{ ...rule, targets: [1] }] })],
    ['"delegations[0].principals" must', having({ delegations: [{ ...rule, principals: null }] })],
    ['"delegations[0].level" must', having({ delegations: [{ ...rule, level: undefined }] })],
    ['"delegations[0].area" must', having({ delegations: [{ ...rule, area: ['north'] }] })],
    ['"delegations[0].scopes" must', having({ delegations: [{ ...rule, scopes: 'vm:read' }] })],
    ['"scopeHierarchy" must', having({ scopeHierarchy: [] })],
    ['"scopeHierarchy.a" must', having({ scopeHierarchy: { a: 'b' } })],
    ['"rateLimits" must', having({ rateLimits: 10 })],
    ['"rateLimits" has no member each', having({ rateLimits: { each: {} } })],
    ['"rateLimits.all" has no member window', having({ rateLimits: { all: { calls: 1, per: 1, window: 1 } } })],
    ['"rateLimits.all.calls" must', having({ rateLimits: { all: { calls: 0, per: 1 } } })],
    ['"rateLimits.all.calls" must', having({ rateLimits: { all: { calls: 1.5, per: 1 } } })],
    ['"rateLimits.all.calls" must', having({ rateLimits: { all: { calls: 1_000_001, per: 1 } } })],
    ['"rateLimits.all.per" must', having({ rateLimits: { all: { calls: 1, per: 0 } } })],
    ['"rateLimits.all.per" must', having({ rateLimits: { all: { calls: 1, per: 86_400_001 } } })],
    ['"rateLimits.all.per" must', having({ rateLimits: { all: { calls: 1 } } })],
    ['"rateLimits.tools" must', having({ rateLimits: { tools: null } })],
    [
      '"rateLimits.tools.lst_vms" is none of the tools',
      having({ rateLimits: { tools: { lst_vms: { calls: 1, per: 1 } } } }),
    ],
    ['"clock" must', having({ clock: {} })],
    ['"log" must', having({ log: () => {} })],
  ])('%s', (message, options) => {
    const make = (): unknown => permissions(options as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
