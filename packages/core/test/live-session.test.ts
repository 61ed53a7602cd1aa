import { randomUUID } from 'node:crypto'
import { DelegationError, liveSession, type Session, secret } from '@mcp-delegation/core'
import { fakeClock, moduleConformance, testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test } from 'vitest'
import type { OpenedSession } from '../src/live-session.ts'
import type { IssuedCredential, Retention } from '../src/module.ts'
import { deferred, type Issued, settle, type TestModuleOptions, testModule, testRegistry } from './support.ts'

const MINUTE = 60_000
const alice = testSession()
const bob = testSession({ subject: 'bob' })
const request = { target: 'vcenter' }

/** A backend that knows who is logged in. */
function backend() {
  const open = new Map<string, string>()
  const log: string[] = []
  return {
    open,
    log,
    login(user: string): string {
      const key = randomUUID()
      open.set(key, user)
      log.push(`login ${user}`)
      return key
    },
    logout(key: string): void {
      log.push(`logout ${open.get(key)}`)
      open.delete(key)
    },
  }
}

function setting(
  more: Partial<OpenedSession<never>> = {},
  options: TestModuleOptions & { readonly members?: Partial<IssuedCredential<never>> } = {},
) {
  const now = { now: () => 0 }
  const { members, ...rest } = options
  const inner = testModule({ clock: { now: () => now.now() }, ...rest })
  const { issue } = inner
  if (members !== undefined) inner.issue = async (...given) => ({ ...(await issue(...given)), ...members })
  const server = backend()
  const module = liveSession(inner, {
    async open({ user }: Issued['value'], { target }) {
      const key = server.login(user)
      return { handle: { key, target }, close: async () => server.logout(key), ...more }
    },
  })
  const { registry, audit, clock } = testRegistry({ module })
  now.now = () => clock.now()
  return { inner, server, module, registry, audit, clock }
}

test('one session is open for each user, whoever asks how often', async () => {
  const { server, registry } = setting()
  const leases = await Promise.all([alice, alice, bob, alice].map((who) => registry.delegate('module', who, request)))
  expect([...server.open.values()].sort()).toEqual(['alice', 'bob'])
  for (const { value } of leases) expect(value).toMatchObject({ kind: 'session', handle: { target: 'vcenter' } })
  expect(server.open.get(leases[2]?.value.handle.key ?? '')).toBe('bob')
})

test('a block logs out at once, also under a lease that is still held, and then releases the credential', async () => {
  const { inner, server, registry } = setting()
  const lease = await registry.delegate('module', alice, request)
  await registry.delegate('module', bob, request)
  await registry.block(alice)
  await settle()
  expect([...server.open.values()]).toEqual(['bob'])
  expect(inner.issued[0]?.releases).toEqual(['revoked'])
  expect(() => lease.value).toThrow()
})

test('the session is closed once when it expires, and when the registry is disposed', async () => {
  const { inner, server, registry, clock } = setting()
  await (await registry.delegate('module', alice, request))[Symbol.asyncDispose]()
  clock.tick(11 * MINUTE)
  await (await registry.delegate('module', alice, request))[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
  expect(server.open.size).toBe(0)
  expect([...server.log].sort()).toEqual(['login alice', 'login alice', 'logout alice', 'logout alice'])
  expect(inner.issued.map(({ releases }) => releases)).toEqual([['expired'], ['disposed']])
})

test('the session ends when the backend says, and no later than the credential', async () => {
  const at = fakeClock().now()
  for (const [backendEnds, ends] of [
    [3, 3],
    [500, 10],
  ] as const) {
    const { registry, clock } = setting({ expiresAt: new Date(at + backendEnds * MINUTE) })
    clock.tick(at - clock.now())
    const { expiresAt } = await registry.delegate('module', alice, request)
    expect(expiresAt.getTime()).toBe(at + ends * MINUTE)
  }
})

test('audit names whom the backend let in, and the type of the module whose credential it was', async () => {
  const { registry, audit } = setting({ principal: 'VSPHERE.LOCAL\\alice' })
  await registry.delegate('module', alice, request)
  await registry.delegate('module', alice, request)
  expect(audit.records).toMatchObject([
    { outcome: 'issued', type: 'test', principal: 'VSPHERE.LOCAL\\alice' },
    { outcome: 'reused', type: 'test', principal: 'VSPHERE.LOCAL\\alice' },
  ])
})

for (const [whose, more, members] of [
  ['session', { usable: () => false }, {}],
  ['credential', {}, { usable: () => false }],
] as const)
  test(`a dead ${whose} is not served again: the next call logs in anew`, async () => {
    const { server, registry } = setting(more, { members })
    await (await registry.delegate('module', alice, request))[Symbol.asyncDispose]()
    await (await registry.delegate('module', alice, request))[Symbol.asyncDispose]()
    await settle()
    expect(server.log.filter((line) => line === 'login alice')).toHaveLength(2)
    expect(server.open.size).toBe(1)
  })

test('a credential whose login fails is given back, and the failure is what the caller sees', async () => {
  const inner = testModule()
  const refusal = new DelegationError('ERR_DELEGATION_DENIED', 'the backend refused the password')
  const { registry } = testRegistry({ module: liveSession(inner, { open: async () => Promise.reject(refusal) }) })
  await expect(registry.delegate('module', alice, request)).rejects.toBe(refusal)
  expect(inner.issued[0]?.releases).toEqual(['aborted'])
})

test.each([
  ['the caller’s own token', { value: { kind: 'bearer', token: secret('eyJ.inbound.token') } }],
  ['an expired credential', { expiresAt: new Date(0) }],
])('%s logs in nowhere: the registry would not hand it out either', async (_, members) => {
  const { inner, server, registry } = setting({}, { members: members as never })
  const who = testSession({ token: secret('eyJ.inbound.token') })
  await expect(registry.delegate('module', who, request)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  expect(server.log).toEqual([])
  expect(inner.issued[0]?.releases).toEqual(['aborted'])
})

test('an answer of open without a session is the author’s mistake, and leaves no credential behind', async () => {
  for (const answer of [undefined, {}, { handle: 1 }, { close: async () => {} }]) {
    const inner = testModule()
    const { registry } = testRegistry({ module: liveSession(inner, { open: async () => answer as never }) })
    await expect(registry.delegate('module', alice, request)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
    expect(inner.issued[0]?.releases).toEqual(['aborted'])
  }
})

test.each([
  ['no handle', { handle: undefined }],
  ['an end that is no date', { expiresAt: new Date(Number.NaN) }],
])('what was opened with %s is closed again', async (_, more) => {
  const { inner, server, registry } = setting(more as never)
  await expect(registry.delegate('module', alice, request)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  expect(server.log).toEqual(['login alice', 'logout alice'])
  expect(inner.issued[0]?.releases).toEqual(['aborted'])
})

test('a login that arrives after its caller left is logged out again', async () => {
  const { promise, resolve } = deferred()
  const began = deferred()
  const server = backend()
  const inner = testModule()
  const module = liveSession(inner, {
    async open() {
      began.resolve()
      await promise
      const key = server.login('alice')
      return { handle: key, close: async () => server.logout(key) }
    },
  })
  const { registry } = testRegistry({ module })
  const controller = new AbortController()
  const asked = registry.delegate('module', alice, request, { signal: controller.signal })
  await began.promise
  controller.abort()
  await expect(asked).rejects.toBe(controller.signal.reason)
  resolve()
  await settle()
  expect(server.log).toEqual(['login alice', 'logout alice'])
  expect(inner.issued[0]?.releases).toHaveLength(1)
})

test('a logout that fails does not keep the credential from being released', async () => {
  const { inner, registry } = setting({ close: async () => Promise.reject(new Error('connection reset')) })
  await registry.delegate('module', alice, request)
  await registry.block(alice)
  await settle()
  expect(inner.issued[0]?.releases).toEqual(['revoked'])
})

test('a logout that never ends does not keep the credential from being released, in time of its own', async () => {
  const inner = testModule()
  const { issue } = inner
  const aborted: boolean[] = []
  inner.issue = async (...given) => ({
    ...(await issue(...given)),
    release: async (_, { signal }) => void aborted.push(signal.aborted),
  })
  const never = async () => new Promise<void>(() => {})
  const module = liveSession(inner, { open: async () => ({ handle: 1, close: never }) })
  const { registry } = testRegistry({ module }, { deadline: 50 })
  await registry.delegate('module', alice, request)
  await registry.block(alice)
  await expect.poll(() => aborted).toEqual([false])
})

test('a credential that its module extends takes the session along, up to where the backend ends it', async () => {
  const at = fakeClock().now()
  for (const [backendEnds, ends] of [
    [500, 20],
    [15, 15],
  ] as const) {
    const retentions: Retention[] = []
    const retained = (retention: Retention): void => {
      retentions.push(retention)
    }
    const options = { members: { retained }, maxAge: 90 * MINUTE }
    const { registry, clock } = setting({ expiresAt: new Date(at + backendEnds * MINUTE) }, options)
    clock.tick(at - clock.now())
    const session = testSession({ issuedAt: new Date(at), expiresAt: new Date(at + 120 * MINUTE) })
    const lease = await registry.delegate('module', session, request)
    expect(lease.expiresAt.getTime()).toBe(at + 10 * MINUTE)
    retentions[0]?.extend(new Date(at + 20 * MINUTE))
    expect(lease.expiresAt.getTime()).toBe(at + ends * MINUTE)
    expect(retentions[0]?.coveredUntil).toEqual(session.expiresAt)
  }
})

test('refuses what is no module, and no way to open a session', () => {
  expect(() => liveSession({} as never, { open: async () => ({}) as never })).toThrow(/^"module\.type" must /)
  expect(() => liveSession(testModule(), {} as never)).toThrow(/^"open" must be a function/)
  expect(() => liveSession(testModule(), undefined as never)).toThrow(/^"open" must be a function/)
})

describe('as a module like any other', () => {
  const server = backend()
  const principal = ({ issuer, subject }: Session) =>
    issuer === alice.issuer && subject !== 'mallory' ? subject : undefined
  const create = () =>
    liveSession(testModule({ principal }), {
      async open({ user }: Issued['value']) {
        const key = server.login(user)
        return { handle: { key: secret(key) }, close: async () => server.logout(key) }
      },
    })
  for (const { name, run } of moduleConformance({
    create,
    granted: [
      { session: alice, request },
      { session: bob, request },
    ],
    unmapped: { session: testSession({ subject: 'mallory' }), request },
    secretsOf: ({ handle }) => [handle.key.reveal()],
    outstanding: () => server.open.size,
    whoami: async ({ handle }) => server.open.get(handle.key.reveal()) ?? 'nobody',
  }))
    test(name, run)
})
