import { DelegationError } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { deferred, settle, testModule, testRegistry } from './support.ts'

const later = (ms: number): Date => new Date(Date.now() + ms)
const alice = testSession({ subject: 'alice' })

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('a second call of the same user is served from the cache', async () => {
  const module = testModule()
  const { registry } = testRegistry({ module })
  const first = await registry.delegate('module', alice, { target: 'x' })
  const second = await registry.delegate('module', alice, { target: 'x' })
  expect(second.value).toBe(first.value)
  expect(module.issued).toHaveLength(1)
  expect(registry.stats().module).toMatchObject({ entries: 1, leases: 2, hits: 1, misses: 1 })
})

test('another user, issuer, client, request, right, actor or principal is never served from it', async () => {
  const module = testModule({
    principal: (session) => `${session.issuer} ${session.subject} ${session.claims['p']}`,
    linked: () => true,
  })
  const { registry } = testRegistry({ module })
  const base = { subject: 'alice', claims: { p: 1 } }
  const sessions = [
    testSession(base),
    testSession({ ...base, subject: 'bob' }),
    testSession({ ...base, issuer: 'https://other.example' }),
    testSession({ ...base, clientId: 'other' }),
    testSession({ ...base, groups: new Set(['g']) }),
    testSession({ ...base, roles: new Set(['g']) }),
    testSession({ ...base, scopes: new Set(['g']) }),
    testSession({ ...base, act: ['agent'] }),
    testSession({ ...base, claims: { p: 1, acr: 'high' } }),
    testSession({ ...base, claims: { p: 2 } }),
    testSession({ ...base, more: { tenant: 'b' } }),
  ]
  for (const session of sessions) await registry.delegate('module', session, { target: 'x' })
  await registry.delegate('module', sessions[0] ?? alice, { target: 'y' })
  expect(module.issued).toHaveLength(sessions.length + 1)
})

test('a refreshed token of the same user with the same rights still hits, unless reuse is per token', async () => {
  const user = testModule()
  const token = testModule({ reuse: 'token' })
  const never = testModule({ reuse: 'never' })
  const { registry } = testRegistry({ user, token, never })
  for (const session of [testSession(), testSession(), testSession()]) {
    await registry.delegate('user', session, { target: 'x' })
    await registry.delegate('token', session, { target: 'x' })
    await registry.delegate('token', session, { target: 'x' })
    await (await registry.delegate('never', session, { target: 'x' }))[Symbol.asyncDispose]()
  }
  expect([user.issued.length, token.issued.length, never.issued.length]).toEqual([1, 3, 3])
  expect(never.issued.map(({ releases }) => releases)).toEqual([['disposed'], ['disposed'], ['disposed']])
})

test('ten thousand callers at once cause one issue, one of them audited as issued', async () => {
  const module = testModule({ before: () => settle() })
  const { registry, audit } = testRegistry({ module })
  await Promise.all(Array.from({ length: 10_000 }, () => registry.delegate('module', alice, { target: 'x' })))
  expect(module.issued).toHaveLength(1)
  expect(audit.records).toHaveLength(10_000)
  expect(audit.records.filter((record) => record.event === 'delegation' && record.outcome === 'issued')).toHaveLength(1)
})

test('an entry ends with the credential, with maxAge, or a minute after the last session that it served', async () => {
  const clock = fakeClock()
  const short = testModule({ clock, lifetime: 5_000 })
  const aged = testModule({ clock, maxAge: 7_000 })
  const covered = testModule({ clock })
  const { registry } = testRegistry({ short, aged, covered }, { clock })
  const session = testSession({ expiresAt: later(100_000) })
  const lease = await registry.delegate('short', session, { target: 'x' })
  expect(lease.expiresAt.getTime()).toBe(clock.now() + 5_000)
  expect((await registry.delegate('aged', session, { target: 'x' })).expiresAt.getTime()).toBe(clock.now() + 7_000)
  expect((await registry.delegate('covered', session, { target: 'x' })).expiresAt).toEqual(session.expiresAt)
  clock.tick(7_000)
  vi.advanceTimersByTime(1_000)
  expect([registry.stats().short.entries, registry.stats().aged.entries]).toEqual([0, 0])
  clock.tick(93_000 + 59_000)
  vi.advanceTimersByTime(1_000)
  expect(registry.stats().covered.entries).toBe(1)
  clock.tick(2_000)
  vi.advanceTimersByTime(1_000)
  expect(registry.stats().covered.entries).toBe(0)
})

test('a release waits for the last lease, and happens once', async () => {
  const clock = fakeClock()
  const module = testModule({ clock, lifetime: 5_000 })
  const { registry } = testRegistry({ module }, { clock })
  const leases = [
    await registry.delegate('module', alice, { target: 'x' }),
    await registry.delegate('module', alice, { target: 'x' }),
  ]
  clock.tick(5_000)
  await registry.delegate('module', alice, { target: 'x' })
  const [old] = module.issued
  expect(old?.releases).toEqual([])
  expect(leases[0]?.value).toBe(old?.value)
  await leases[0]?.[Symbol.asyncDispose]()
  await leases[0]?.[Symbol.asyncDispose]()
  expect(old?.releases).toEqual([])
  await leases[1]?.[Symbol.asyncDispose]()
  expect(old?.releases).toEqual(['expired'])
  expect(() => leases[1]?.value).toThrow(DelegationError)
})

test('a forgotten lease delays a release by one minute beyond its own end, and no longer', async () => {
  const clock = fakeClock()
  const module = testModule({ clock, lifetime: 5_000 })
  const { registry } = testRegistry({ module }, { clock })
  await registry.delegate('module', alice, { target: 'x' })
  clock.tick(64_999)
  vi.advanceTimersByTime(1_000)
  expect(module.issued[0]?.releases).toEqual([])
  clock.tick(1)
  vi.advanceTimersByTime(1_000)
  await settle()
  expect(module.issued[0]?.releases).toEqual(['expired'])
  expect(registry.stats().module.leases).toBe(0)
})

test('the least recently used is evicted, of all and of one user, but not from under a lease', async () => {
  const module = testModule()
  const { registry } = testRegistry({ module }, { cache: { max: 3, maxPerUser: 2 } })
  const use = async (subject: string, target: string): Promise<AsyncDisposable> =>
    registry.delegate('module', testSession({ subject }), { target })
  const held = await use('alice', '1')
  await (await use('alice', '2'))[Symbol.asyncDispose]()
  await (await use('alice', '1'))[Symbol.asyncDispose]()
  await (await use('alice', '3'))[Symbol.asyncDispose]()
  expect(module.issued.map(({ releases }) => releases)).toEqual([[], ['evicted'], []])
  await use('bob', '1')
  await use('carol', '1')
  expect(registry.stats().module.entries).toBe(3)
  expect(module.issued[0]?.releases).toEqual([])
  await held[Symbol.asyncDispose]()
  expect(module.issued[0]?.releases).toEqual(['evicted'])
})

test('a live call refreshes ahead of the end: the old credential is served, then the new one', async () => {
  const clock = fakeClock()
  const module = testModule({ clock, lifetime: 100_000 })
  const { registry, audit } = testRegistry({ module }, { clock })
  const first = await registry.delegate('module', alice, { target: 'x' })
  clock.tick(74_000)
  await registry.delegate('module', alice, { target: 'x' })
  await settle()
  expect(module.issued).toHaveLength(1)
  clock.tick(12_000)
  const during = await registry.delegate('module', alice, { target: 'x' })
  expect(during.value).toBe(first.value)
  await settle()
  expect(module.issued).toHaveLength(2)
  expect((await registry.delegate('module', alice, { target: 'x' })).value.serial).toBe(1)
  expect(audit.records.map((record) => record.event)).toEqual([
    'delegation',
    'delegation',
    'delegation',
    'refresh',
    'delegation',
  ])
  for (const lease of [first, during]) await lease[Symbol.asyncDispose]()
  expect(module.issued[0]?.releases).toEqual([])
})

test('nothing is refreshed without a call', async () => {
  const clock = fakeClock()
  const module = testModule({ clock, lifetime: 100_000 })
  const { registry } = testRegistry({ module }, { clock })
  await registry.delegate('module', alice, { target: 'x' })
  for (let second = 0; second < 200; second++) {
    clock.tick(1_000)
    vi.advanceTimersByTime(1_000)
  }
  await settle()
  expect(module.issued).toHaveLength(1)
})

test('a refresh that fails leaves the old credential, is audited, and is tried again ten seconds later', async () => {
  const clock = fakeClock()
  let broken = false
  const module = testModule({
    clock,
    lifetime: 100_000,
    before: () => {
      if (broken) throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'down')
    },
  })
  const { registry, audit } = testRegistry({ module }, { clock })
  await registry.delegate('module', alice, { target: 'x' })
  broken = true
  clock.tick(86_000)
  for (let call = 0; call < 5; call++)
    expect((await registry.delegate('module', alice, { target: 'x' })).value.serial).toBe(0)
  await settle()
  expect(module.contexts).toHaveLength(2)
  expect(audit.records.filter(({ event }) => event === 'refresh')).toMatchObject([
    { outcome: 'failed', code: 'ERR_DELEGATION_UNAVAILABLE' },
  ])
  clock.tick(10_000)
  broken = false
  await registry.delegate('module', alice, { target: 'x' })
  await settle()
  expect((await registry.delegate('module', alice, { target: 'x' })).value.serial).toBe(1)
})

test('an invalidated credential is replaced, once in ten seconds', async () => {
  const clock = fakeClock()
  const module = testModule({ clock })
  const { registry } = testRegistry({ module }, { clock })
  const call = async () => registry.delegate('module', alice, { target: 'x' })
  const first = await call()
  first.invalidate()
  const second = await call()
  first.invalidate()
  expect((await call()).value.serial).toBe(1)
  second.invalidate()
  expect((await call()).value.serial).toBe(1)
  clock.tick(10_000)
  second.invalidate()
  expect((await call()).value.serial).toBe(2)
  await first[Symbol.asyncDispose]()
  expect(module.issued[0]?.releases).toEqual(['invalidated'])
})

test('a definite refusal is remembered for ten seconds, an outage never', async () => {
  const clock = fakeClock()
  let code: 'ERR_DELEGATION_DENIED' | 'ERR_DELEGATION_UNAVAILABLE' = 'ERR_DELEGATION_DENIED'
  const module = testModule({
    clock,
    before: () => {
      throw new DelegationError(code, 'no')
    },
  })
  const { registry } = testRegistry({ module }, { clock })
  const call = async (): Promise<void> => {
    await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject({ code })
  }
  await call()
  await call()
  expect(module.contexts).toHaveLength(1)
  clock.tick(10_000)
  code = 'ERR_DELEGATION_UNAVAILABLE'
  await call()
  await call()
  expect(module.contexts).toHaveLength(3)
})

test('disposing the registry releases everything, and nothing is issued any more', async () => {
  const module = testModule({ dispose: vi.fn() })
  const { registry } = testRegistry({ module })
  const lease = await registry.delegate('module', alice, { target: 'x' })
  await registry[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
  expect(module.issued[0]?.releases).toEqual(['disposed'])
  expect(() => lease.value).toThrow('released')
  expect(module.dispose).toHaveBeenCalledTimes(1)
  await expect(registry.delegate('module', alice, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
  })
})

test('a release that calls the registry finds it in order: nobody gets the credential of another', async () => {
  const module = testModule()
  const blocks: Promise<unknown>[] = []
  const { registry } = testRegistry(
    {
      module: {
        ...module,
        issue: async (request, context) => {
          const issued = await module.issue(request, context)
          const who = { issuer: 'https://idp.example', subject: 'ann' }
          return {
            ...issued,
            release: async (reason) => {
              if (reason === 'evicted') blocks.push(registry.block(who))
            },
          }
        },
      },
    },
    { cache: { max: 2 } },
  )
  const use = async (subject: string): Promise<string> => {
    await using lease = await registry.delegate('module', testSession({ subject }), { target: 'x' })
    return lease.value.user
  }
  for (const subject of ['ann', 'ben', 'cat', 'dan', 'cat', 'dan', 'ben', 'cat'])
    expect(await use(subject).catch(() => subject)).toBe(subject)
  await Promise.all(blocks)
  expect(registry.stats().module.entries).toBeLessThanOrEqual(2)
  expect(registry.stats().module.entries).toBeGreaterThanOrEqual(0)
})

test('where the caller who began an issue has gone, the one who gets the credential is recorded as issued', async () => {
  const work = deferred()
  const module = testModule({ before: () => work.promise })
  const { registry, audit } = testRegistry({ module })
  const controller = new AbortController()
  const first = registry.delegate('module', alice, { target: 'x' }, { signal: controller.signal })
  const second = registry.delegate('module', alice, { target: 'x' })
  const third = registry.delegate('module', alice, { target: 'x' })
  controller.abort('gone')
  work.resolve()
  await Promise.allSettled([first, second, third])
  expect(audit.records).toMatchObject([{ outcome: 'aborted' }, { outcome: 'issued' }, { outcome: 'reused' }])
})
