import { runInNewContext } from 'node:vm'
import { type AuditRecord, DelegationError, type Policy, type Session, secret } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test, vi } from 'vitest'
import { deferred, settle, testModule, testRegistry } from './support.ts'

const alice = testSession({ subject: 'alice' })
const unavailable = { code: 'ERR_DELEGATION_UNAVAILABLE' }

test('a session that createSession did not make is refused, and recorded without an identity', async () => {
  const { registry, audit } = testRegistry({ module: testModule() })
  const forged = { ...alice } as Session
  for (const session of [forged, Object.create(alice) as Session, undefined as never, 'alice' as never])
    await expect(registry.delegate('module', session, { target: 'x' })).rejects.toMatchObject({
      code: 'ERR_SESSION_INVALID',
    })
  expect(audit.records).toHaveLength(4)
  for (const record of audit.records)
    expect(record).toMatchObject({ issuer: undefined, subject: undefined, sessionId: undefined })
  expect(registry.standing(forged)).toBe('ended')
  expect(registry.decide(forged, 'tool')).toMatchObject({ allowed: false })
})

test('what a tool does to a session object changes nothing for the policy, the module or the registry', async () => {
  const seen: string[] = []
  const module = testModule({ principal: (session) => `${[...session.groups]}` || 'nobody' })
  const policy: Policy = {
    tool: () => ({ allowed: true }),
    delegation: ({ session }) => {
      seen.push([...session.groups].join())
      return { allowed: true }
    },
  }
  const { registry } = testRegistry({ module }, { policy })
  const session = testSession({ groups: new Set(['readers']), expiresAt: new Date(Date.now() + 50_000) })
  expect(() => (session.groups as Set<string>).add('admins')).toThrow(TypeError)
  Set.prototype.add.call(session.groups, 'admins')
  session.expiresAt.setFullYear(2099)
  const lease = await registry.delegate('module', session, { target: 'x' })
  expect(seen).toEqual(['readers'])
  expect(lease.principal).toBe('readers')
  expect(lease.expiresAt.getFullYear()).toBeLessThan(2099)
})

test('an expired session is refused even where the credential is cached', async () => {
  const { registry, clock } = testRegistry({ module: testModule() })
  const session = testSession({ expiresAt: new Date(clock.now() + 1_000) })
  await registry.delegate('module', session, { target: 'x' })
  clock.tick(1_000)
  await expect(registry.delegate('module', session, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_SESSION_EXPIRED',
  })
})

test.each(['nope', 'toString', '__proto__', 'constructor', 'a\u202eb', 'x'.repeat(10_000)])(
  'an unknown module is refused without an echo (%#)',
  async (name) => {
    const { registry, audit } = testRegistry({ module: testModule() })
    const call = registry.delegate(name as 'module', alice, { target: 'x' })
    await expect(call).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNKNOWN_MODULE' })
    const [record] = audit.records as readonly (AuditRecord & { readonly module: string })[]
    expect(record?.module.length).toBeLessThan(200)
    expect(record?.module).not.toContain('\u202e')
  },
)

test.each([
  ['a missing target', {}],
  ['control characters', { target: 'a\nb' }],
  ['a lone surrogate', { target: 'a\ud800' }],
  ['10 kB', { target: 'x'.repeat(10_000) }],
  ['nothing', undefined],
])('a request with %s is refused, and its value is not echoed', async (_name, request) => {
  const { registry } = testRegistry({ module: testModule() })
  const error = await registry.delegate('module', alice, request as never).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'ERR_DELEGATION_INVALID_REQUEST' })
  expect((error as Error).message.length).toBeLessThan(300)
})

test('an asynchronous schema is refused', async () => {
  const module = testModule()
  const request = {
    '~standard': { version: 1, vendor: 'x', validate: async () => ({ issues: [{ message: 'late' }] }) },
  } as const
  const { registry } = testRegistry({ module: { ...module, request } })
  await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_INVALID_REQUEST',
    message: expect.stringContaining('asynchronously'),
  })
})

test('a second identity with the same principal is refused, unless it is linked or the account is shared', async () => {
  const principal = (): string => 'root'
  const alone = testModule({ principal })
  const linked = testModule({ principal, linked: (a, b) => a.subject === 'alice' && b.subject === 'alice-admin' })
  const shared = testModule({ principal, shared: true })
  const { registry, audit } = testRegistry({ alone, linked, shared })
  const other = testSession({ subject: 'alice-admin' })
  const third = testSession({ subject: 'mallory' })
  const conflict = { code: 'ERR_DELEGATION_DENIED', message: expect.stringContaining('principal_conflict') }
  for (const name of ['alone', 'linked', 'shared'] as const) await registry.delegate(name, alice, { target: 'x' })
  await expect(registry.delegate('alone', other, { target: 'x' })).rejects.toMatchObject(conflict)
  await registry.delegate('linked', other, { target: 'x' })
  await expect(registry.delegate('linked', third, { target: 'x' })).rejects.toMatchObject(conflict)
  await registry.delegate('shared', third, { target: 'x' })
  await expect(
    registry.delegate('alone', testSession({ issuer: 'https://b.example' }), { target: 'x' }),
  ).rejects.toMatchObject(conflict)
  await registry.delegate('alone', testSession({ subject: 'alice' }), { target: 'x' })
  expect(audit.records.filter(({ code }) => code !== undefined)).toHaveLength(3)
})

test.each([
  ['false', { allowed: false, reason: 'closed on \u202eSunday' }, 'ERR_DELEGATION_DENIED'],
  ['scopes', { allowed: false, reason: 'more', scopes: ['db:write'] }, 'ERR_SESSION_SCOPE'],
  ['a promise', Promise.resolve({ allowed: true }), 'ERR_DELEGATION_DENIED'],
  ['nothing', undefined, 'ERR_DELEGATION_DENIED'],
  ['truth that is not true', { allowed: 1 }, 'ERR_DELEGATION_DENIED'],
])('a policy that answers with %s refuses, on a hit too', async (_name, answer, code) => {
  let open = true
  const policy: Policy = {
    tool: () => answer as never,
    delegation: () => (open ? { allowed: true } : (answer as never)),
  }
  const { registry } = testRegistry({ module: testModule() }, { policy })
  await registry.delegate('module', alice, { target: 'x' })
  open = false
  const error = await registry.delegate('module', alice, { target: 'x' }).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code })
  expect((error as Error).message).not.toContain('\u202e')
  expect(registry.decide(alice, 'tool').allowed).toBe(false)
})

test('the deadline ends an issue that hangs; what arrives later is released and not cached', async () => {
  const work = deferred()
  const module = testModule({ deadline: 20, before: () => work.promise })
  const { registry } = testRegistry({ module })
  await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject(unavailable)
  expect(module.contexts[0]?.signal.aborted).toBe(true)
  work.resolve()
  await settle()
  expect(module.issued[0]?.releases).toEqual(['aborted'])
  expect(registry.stats().module.entries).toBe(0)
})

test('a module that ignores its signal is not asked again for the same key before it has ended', async () => {
  const work = deferred()
  const module = testModule({ before: ({ signal }) => (signal.aborted ? undefined : work.promise) })
  const { registry } = testRegistry({ module })
  const controller = new AbortController()
  const first = registry.delegate('module', alice, { target: 'x' }, { signal: controller.signal })
  await settle()
  controller.abort('gone')
  await expect(first).rejects.toBe('gone')
  const second = registry.delegate('module', alice, { target: 'x' })
  await settle()
  expect(module.contexts).toHaveLength(1)
  work.resolve()
  expect((await second).value.serial).toBe(1)
  expect(module.issued.map(({ releases }) => releases)).toEqual([['aborted'], []])
})

test('an abort rejects with the reason, untouched, and is recorded as an abort', async () => {
  const module = testModule({ before: () => settle() })
  const { registry, audit } = testRegistry({ module })
  const reason = { mine: true }
  await expect(registry.delegate('module', alice, { target: 'x' }, { signal: AbortSignal.abort(reason) })).rejects.toBe(
    reason,
  )
  const controller = new AbortController()
  const call = registry.delegate('module', alice, { target: 'x' }, { signal: controller.signal })
  controller.abort(reason)
  await expect(call).rejects.toBe(reason)
  expect(audit.records).toMatchObject([
    { outcome: 'aborted', code: undefined },
    { outcome: 'aborted', code: undefined },
  ])
})

test('one user has two issues at once and twenty in the queue; beyond that the answer is to wait', async () => {
  const work = deferred()
  const module = testModule({ before: () => work.promise })
  const { registry } = testRegistry({ module })
  const calls = Array.from({ length: 23 }, (_, index) => registry.delegate('module', alice, { target: `${index}` }))
  await expect(calls[22]).rejects.toMatchObject({ code: 'ERR_RATE_LIMITED', retryAfter: expect.any(Date) })
  expect(module.contexts).toHaveLength(2)
  expect(registry.stats().module.queued).toBe(20)
  const bob = registry.delegate('module', testSession({ subject: 'bob' }), { target: 'x' })
  await settle()
  expect(module.contexts).toHaveLength(3)
  work.resolve()
  await bob
  await Promise.allSettled(calls)
  expect(registry.stats().module).toMatchObject({ queued: 0, entries: 23 })
})

test.each([
  ['nothing', undefined],
  ['no value', { expiresAt: new Date(Date.now() + 1_000) }],
  ['no expiry', { value: 1 }],
  ['an invalid expiry', { value: 1, expiresAt: new Date(Number.NaN) }],
  ['an expired credential', { value: 1, expiresAt: new Date(0) }],
  ['a malformed principal', { value: 1, expiresAt: new Date(Date.now() + 9_000), principal: 'a\n' }],
  [
    'the token of the caller',
    { value: { kind: 'bearer', token: secret('inbound') }, expiresAt: new Date(Date.now() + 9_000) },
  ],
  [
    'the token of the caller as a header',
    { value: { kind: 'header', header: secret('Bearer inbound') }, expiresAt: new Date(Date.now() + 9_000) },
  ],
])('a module that issues %s is refused, and what it issued is released', async (_name, issued) => {
  const releases: string[] = []
  const broken =
    issued === undefined ? issued : { ...issued, release: async (reason: string) => void releases.push(reason) }
  const { registry } = testRegistry({ module: { ...testModule(), issue: async () => broken as never } })
  const session = testSession({ token: secret('inbound') })
  await expect(registry.delegate('module', session, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_PROTOCOL',
  })
  expect(releases).toEqual(issued === undefined ? [] : ['aborted'])
})

test('a release that throws or hangs is logged, and harms nobody', async () => {
  const errors: string[] = []
  const log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (_fields: object, message: string) => errors.push(message),
  }
  const issue = (release: () => Promise<void>) => async () => ({
    value: 1,
    expiresAt: new Date(Date.now() + 9_000),
    release,
  })
  const throws = { ...testModule({ reuse: 'never' }), issue: issue(() => Promise.reject(new Error('x'))) as never }
  const hangs = { ...testModule({ reuse: 'never' }), issue: issue(() => new Promise(() => {})) as never }
  const { registry } = testRegistry({ throws, hangs }, { log, deadline: 20 })
  for (const name of ['throws', 'hangs'] as const)
    await (await registry.delegate(name, alice, { target: 'x' }))[Symbol.asyncDispose]()
  expect(errors).toEqual(['a credential could not be released', 'a credential could not be released'])
})

test('without audit there is no credential: a sink that throws, rejects or hangs', async () => {
  for (const audit of [
    () => {
      throw new Error('disk')
    },
    () => Promise.reject(new Error('disk')),
    () => new Promise<void>(() => {}),
  ]) {
    const module = testModule()
    const { registry } = testRegistry({ module }, { audit, deadline: 20 })
    await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject({
      code: 'ERR_AUDIT_FAILED',
    })
    expect(module.issued[0]?.releases).toEqual(['aborted'])
    expect(registry.stats().module).toMatchObject({ entries: 0, leases: 0 })
  }
})

test('a sink that fails on a refusal leaves the refusal standing, and is logged', async () => {
  const errors: unknown[] = []
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: (fields: object) => errors.push(fields) }
  const module = testModule({
    before: () => {
      throw new DelegationError('ERR_DELEGATION_DENIED', 'no')
    },
  })
  const { registry } = testRegistry({ module }, { log, audit: () => Promise.reject(new Error('disk')) })
  await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_DENIED',
  })
  expect(errors).toMatchObject([{ code: 'ERR_DELEGATION_DENIED' }])
})

test('who is refused by the backend does not keep the principal from its owner', async () => {
  const module = testModule({
    principal: () => 'bob',
    before: ({ session }) => {
      if (session.subject === 'mallory') throw new DelegationError('ERR_DELEGATION_DENIED', 'the backend says no')
    },
  })
  const { registry } = testRegistry({ module })
  const conflict = { message: expect.stringContaining('principal_conflict') }
  const [mallory, bob] = [testSession({ subject: 'mallory' }), testSession({ subject: 'bob' })]
  await expect(registry.delegate('module', mallory, { target: 'x' })).rejects.toThrow('the backend says no')
  await registry.delegate('module', bob, { target: 'x' })
  await expect(registry.delegate('module', mallory, { target: 'x' })).rejects.toMatchObject(conflict)
  await registry.block(bob)
  await expect(registry.delegate('module', mallory, { target: 'x' })).rejects.toMatchObject(conflict)
})

test('a sink whose promise is of another realm is waited for', async () => {
  const reject = runInNewContext('() => Promise.reject(new Error("disk"))') as () => Promise<void>
  const { registry } = testRegistry({ module: testModule() }, { audit: reject })
  await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
  await expect(async () => registry.audit(null as never)).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
})

test('a call with hostile options is refused, and recorded once', async () => {
  const { registry, audit } = testRegistry({ module: testModule() })
  const hostile = {
    toString: () => {
      throw new Error('no text')
    },
  }
  await registry.delegate('module', alice, { target: 'x' }, null as never)
  await expect(registry.delegate(hostile as never as 'module', alice, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNKNOWN_MODULE',
  })
  await registry.delegate('module', alice, { target: 'x' }, { tool: hostile as never })
  const call = registry.delegate('module', alice, { target: 'x' }, { signal: {} as never })
  await expect(call).rejects.toMatchObject({ code: 'ERR_DELEGATION_INVALID_REQUEST' })
  expect(audit.records).toHaveLength(4)
})

test('a module that hangs after an abort within its own call gives its place back in the end', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const controller = new AbortController()
    let calls = 0
    const module = testModule({
      before: () => {
        if (++calls > 1) return undefined
        controller.abort('gone')
        return new Promise(() => {})
      },
    })
    const { registry } = testRegistry({ module })
    await expect(registry.delegate('module', alice, { target: 'x' }, { signal: controller.signal })).rejects.toBe(
      'gone',
    )
    await vi.advanceTimersByTimeAsync(60_000)
    await registry.delegate('module', alice, { target: 'x' })
    expect(calls).toBe(2)
  } finally {
    vi.useRealTimers()
  }
})

test('a credential that can not even be looked at is a failure of the module', async () => {
  const issue = async () => ({
    value: 1,
    expiresAt: new Date(Date.now() + 9_000),
    get release(): never {
      throw new Error('getter')
    },
  })
  const { registry } = testRegistry({ module: { ...testModule(), issue: issue as never } })
  await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toThrow()
})

test('a logger that throws changes nothing', async () => {
  const fail = (): never => {
    throw new Error('log')
  }
  const log = { debug: fail, info: fail, warn: fail, error: fail }
  const issue = async () => ({
    value: 1,
    expiresAt: new Date(Date.now() + 9_000),
    release: () => Promise.reject(new Error('x')),
  })
  const { registry } = testRegistry({ module: { ...testModule({ reuse: 'never' }), issue: issue as never } }, { log })
  await (await registry.delegate('module', alice, { target: 'x' }))[Symbol.asyncDispose]()
})
