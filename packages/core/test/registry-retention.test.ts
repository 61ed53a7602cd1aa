import type { IssuedCredential, Retention } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { testModule, testRegistry } from './support.ts'

const alice = { issuer: 'https://idp.example', subject: 'alice' }
const request = { target: 'x' }
const MINUTE = 60_000

/** A module whose credentials last ten minutes, and that keeps what it is told of how they are kept. */
function retainingModule(clock: { now(): number }, members: Partial<IssuedCredential<never>> = {}) {
  const retentions: Retention[] = []
  const module = testModule({ clock, maxAge: 30 * MINUTE })
  const { issue } = module
  module.issue = async (given, context) => ({
    ...(await issue(given, context)),
    retained: (retention) => {
      retentions.push(retention)
    },
    ...members,
  })
  return { module, retentions }
}

function setting(members?: Partial<IssuedCredential<never>>) {
  const now = { now: () => 0 }
  const { module, retentions } = retainingModule({ now: () => now.now() }, members)
  const { registry, clock, audit } = testRegistry({ module })
  now.now = () => clock.now()
  const until = (ms: number): Date => new Date(clock.now() + ms)
  const session = (lifetime: number) =>
    testSession({ ...alice, issuedAt: new Date(clock.now()), expiresAt: until(lifetime) })
  return { module, retentions, registry, clock, audit, until, session }
}

test('a credential that its module extended is served until the new end, also to leases that are out', async () => {
  const { module, retentions, registry, clock, until, session } = setting()
  const lease = await registry.delegate('module', session(60 * MINUTE), request)
  const before = lease.expiresAt
  clock.tick(7 * MINUTE)
  retentions[0]?.extend(until(10 * MINUTE))
  expect(lease.expiresAt.getTime() - before.getTime()).toBe(7 * MINUTE)
  clock.tick(5 * MINUTE)
  await registry.delegate('module', session(60 * MINUTE), request)
  expect(module.issued).toHaveLength(1)
  clock.tick(5 * MINUTE)
  await registry.delegate('module', session(60 * MINUTE), request)
  expect(module.issued).toHaveLength(2)
})

test('a credential is extended neither beyond the maximum age, nor backwards, nor after its end', async () => {
  const { module, retentions, registry, clock, until, session } = setting()
  const lease = await registry.delegate('module', session(90 * MINUTE), request)
  const issuedAt = clock.now()
  retentions[0]?.extend(until(5 * MINUTE))
  expect(lease.expiresAt.getTime()).toBe(issuedAt + 10 * MINUTE)
  retentions[0]?.extend(new Date(Number.NaN))
  expect(lease.expiresAt.getTime()).toBe(issuedAt + 10 * MINUTE)
  retentions[0]?.extend(until(500 * MINUTE))
  expect(lease.expiresAt.getTime()).toBe(issuedAt + 30 * MINUTE)
  clock.tick(31 * MINUTE)
  retentions[0]?.extend(until(5 * MINUTE))
  await registry.delegate('module', session(90 * MINUTE), request)
  expect(module.issued).toHaveLength(2)
})

test('an extension postpones the refresh', async () => {
  const { module, retentions, registry, clock, until, session } = setting()
  await registry.delegate('module', session(90 * MINUTE), request)
  clock.tick(7 * MINUTE)
  retentions[0]?.extend(until(10 * MINUTE))
  clock.tick(2 * MINUTE)
  await registry.delegate('module', session(90 * MINUTE), request)
  await new Promise((resolve) => setImmediate(resolve))
  expect(module.issued).toHaveLength(1)
})

test('a credential is covered until the last live session that it serves expires', async () => {
  const { retentions, registry, clock, session } = setting()
  const [short, long] = [session(5 * MINUTE), session(8 * MINUTE)]
  await registry.delegate('module', short, request)
  const [retention] = retentions
  expect(retention?.coveredUntil).toEqual(short.expiresAt)
  await registry.delegate('module', long, request)
  expect(retention?.coveredUntil).toEqual(long.expiresAt)
  await registry.endSession(long)
  expect(retention?.coveredUntil).toEqual(short.expiresAt)
  clock.tick(5 * MINUTE)
  expect(retention?.coveredUntil).toBeUndefined()
})

test('a dropped credential is covered while somebody holds a lease on it, and a released one no more', async () => {
  const { retentions, registry, session } = setting()
  const one = session(9 * MINUTE)
  const lease = await registry.delegate('module', one, request)
  lease.invalidate()
  expect(retentions[0]?.coveredUntil).toEqual(one.expiresAt)
  await lease[Symbol.asyncDispose]()
  expect(retentions[0]?.coveredUntil).toBeUndefined()
})

test('what was blocked is neither covered nor extended', async () => {
  const { retentions, registry, until, session } = setting()
  const lease = await registry.delegate('module', session(9 * MINUTE), request)
  const { expiresAt } = lease
  await registry.block(alice)
  expect(retentions[0]?.coveredUntil).toBeUndefined()
  retentions[0]?.extend(until(20 * MINUTE))
  expect(lease.expiresAt).toEqual(expiresAt)
})

test('the session that waits for a credential covers it from the first moment', async () => {
  const seen: unknown[] = []
  const { registry, session } = setting({
    retained: (retention) => {
      seen.push(retention.coveredUntil)
    },
  })
  const one = session(9 * MINUTE)
  await registry.delegate('module', one, request)
  expect(seen).toEqual([one.expiresAt])
})

test('a module that throws when its credential is kept does not keep the caller from it', async () => {
  const { registry, session } = setting({
    retained: () => {
      throw new Error('broken')
    },
  })
  const lease = await registry.delegate('module', session(9 * MINUTE), request)
  expect(lease.value).toMatchObject({ user: 'alice' })
})
