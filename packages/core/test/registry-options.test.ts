import {
  DelegationError,
  DelegationRegistry,
  firstMapped,
  type Logger,
  type RegistryOptions,
} from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { deferred, settle, testModule, testRegistry } from './support.ts'

const good = { modules: {}, audit: () => {}, policy: 'backend-decides' } as const

test.each([
  ['options', undefined],
  ['modules', { ...good, modules: undefined }],
  ['modules', { ...good, modules: { 'a b': testModule() } }],
  ['modules', { ...good, modules: JSON.parse('{"__proto__":{}}') }],
  ['modules.a', { ...good, modules: { a: undefined } }],
  ['modules.a.type', { ...good, modules: { a: { ...testModule(), type: 'Über' } } }],
  ['modules.a.request', { ...good, modules: { a: { ...testModule(), request: {} } } }],
  ['modules.a.reuse', { ...good, modules: { a: testModule({ reuse: 'always' as never }) } }],
  ['modules.a.issue', { ...good, modules: { a: { ...testModule(), issue: 1 } } }],
  ['modules.a.deadline', { ...good, modules: { a: testModule({ deadline: 2 ** 31 }) } }],
  ['modules.a.maxConcurrent', { ...good, modules: { a: testModule({ maxConcurrent: 0 }) } }],
  ['audit', { ...good, audit: undefined }],
  ['policy', { ...good, policy: undefined }],
  ['policy', { ...good, policy: 'allow-all' }],
  ['policy', { ...good, policy: { tool: () => ({ allowed: true }) } }],
  ['blocks', { ...good, blocks: {} }],
  ['cache.max', { ...good, cache: { max: 0 } }],
  ['cache.maxPerUser', { ...good, cache: { maxPerUser: 1.5 } }],
  ['cache.maxAge', { ...good, cache: { maxAge: Number.NaN } }],
  ['deadline', { ...good, deadline: -1 }],
  ['log', { ...good, log: {} }],
  ['clock', { ...good, clock: {} }],
])('a wrong "%s" is refused by name (%#)', (option, options) => {
  expect(() => new DelegationRegistry(options as unknown as RegistryOptions<never>)).toThrow(
    expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(`"${option}"`) }),
  )
})

test('a list takes two modules or more, and no list', () => {
  expect(() => (firstMapped as (...modules: unknown[]) => unknown)(testModule())).toThrow('"firstMapped"')
  expect(() => (firstMapped as (...modules: unknown[]) => unknown)(testModule(), { firstMapped: [] })).toThrow(
    '"firstMapped[1].type"',
  )
})

test('modules added to the map afterwards are not there', async () => {
  const modules: Record<string, ReturnType<typeof testModule>> = { a: testModule() }
  const { registry } = testRegistry(modules)
  modules['b'] = testModule()
  await expect(registry.delegate('b', testSession(), { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNKNOWN_MODULE',
  })
})

test('a check names each module that can not serve', async () => {
  const down = new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'no route')
  const { registry } = testRegistry(
    {
      fine: testModule({ check: async () => {} }),
      plain: testModule(),
      down: firstMapped(testModule(), testModule({ check: () => Promise.reject(down) })),
      bare: testModule({
        check: () => {
          throw new Error('detail')
        },
      }),
      hung: testModule({ check: () => new Promise(() => {}) }),
    },
    { deadline: 30 },
  )
  await expect(registry.check()).resolves.toMatchObject({
    fine: undefined,
    plain: undefined,
    down,
    bare: { code: 'ERR_DELEGATION_PROTOCOL', message: 'the module failed' },
    hung: { code: 'ERR_DELEGATION_UNAVAILABLE' },
  })
  await expect(registry.check({ signal: AbortSignal.abort('gone') })).rejects.toBe('gone')
})

test('the description names modules, limits and policy, and no secret', () => {
  const { registry } = testRegistry({
    db: firstMapped(testModule({ type: 'personal' }), testModule({ type: 'common', shared: true })),
  })
  expect(registry.describe()).toBe(
    [
      'policy: the backends decide',
      'cache: 10000 credentials, 100 per user, at most 3600000 ms',
      'deadline: 10000 ms',
      'modules:',
      '  db: personal (reuse: user, max age 3600000 ms, deadline 10000 ms), or for those who are not mapped there common (reuse: user, shared account, max age 3600000 ms, deadline 10000 ms)',
    ].join('\n'),
  )
})

test('disposing waits for what is still being issued, and releases it', async () => {
  const work = deferred()
  const module = testModule({ before: () => work.promise })
  const { registry } = testRegistry({ module })
  const call = registry.delegate('module', testSession(), { target: 'x' })
  await settle()
  const disposed = registry[Symbol.asyncDispose]()
  await expect(call).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  work.resolve()
  await disposed
  expect(module.issued[0]?.releases).toEqual(['aborted'])
})

test('a module whose dispose fails does not keep the others from being disposed', async () => {
  let disposed = 0
  const { registry } = testRegistry({
    a: testModule({ dispose: () => Promise.reject(new Error('x')) }),
    b: testModule({
      dispose: async () => {
        disposed++
      },
    }),
  })
  await registry[Symbol.asyncDispose]()
  expect(disposed).toBe(1)
})

test('the log tells the operator what audit does not say: the cause of a refusal, once', async () => {
  const cause = new Error('what the backend said')
  const told: [string, object][] = []
  const log = Object.fromEntries(
    (['debug', 'info', 'warn', 'error'] as const).map((level) => [
      level,
      (fields: object) => told.push([level, fields]),
    ]),
  ) as unknown as Logger
  let error = new DelegationError('ERR_DELEGATION_DENIED', 'no', { cause })
  const module = testModule({
    before: () => {
      throw error
    },
  })
  const { registry } = testRegistry({ module }, { log })
  const session = testSession()
  const ask = (target: string) => registry.delegate('module', session, { target }).catch(() => {})
  await ask('x')
  await ask('x')
  error = new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'down', { cause })
  await ask('y')
  error = new DelegationError('ERR_DELEGATION_DENIED', 'no, and nothing more to say')
  await ask('z')
  expect(told).toMatchObject([
    ['info', { err: { code: 'ERR_DELEGATION_DENIED', cause }, module: 'module', target: 'x', principal: 'alice' }],
    ['warn', { err: { code: 'ERR_DELEGATION_UNAVAILABLE', cause }, target: 'y' }],
    ['debug', { err: { code: 'ERR_DELEGATION_DENIED' }, target: 'z' }],
  ])
})
