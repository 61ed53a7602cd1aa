import { type BlockStore, DelegationError, type Session, secret } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { deferred, settle, testModule, testRegistry } from './support.ts'

const ISSUER = 'https://idp.example'
const alice = { issuer: ISSUER, subject: 'alice' }

test('a block releases at once, without waiting for leases, and refuses every token until it is lifted', async () => {
  const module = testModule()
  const { registry, audit } = testRegistry({ module })
  const lease = await registry.delegate('module', testSession(alice), { target: 'x' })
  await registry.delegate('module', testSession(alice), { target: 'y' })
  const bob = await registry.delegate('module', testSession({ subject: 'bob' }), { target: 'x' })
  await expect(registry.block(alice)).resolves.toEqual({ credentials: 2 })
  expect(module.issued.map(({ releases }) => releases)).toEqual([['revoked'], ['revoked'], []])
  expect(() => lease.value).toThrow(expect.objectContaining({ code: 'ERR_SESSION_BLOCKED' }))
  expect(bob.value.user).toBe('bob')
  const refreshed = testSession({ ...alice, issuedAt: new Date(Date.now() + 1_000) })
  for (const session of [testSession(alice), refreshed]) {
    expect(registry.standing(session)).toBe('blocked')
    await expect(registry.delegate('module', session, { target: 'x' })).rejects.toMatchObject({
      code: 'ERR_SESSION_BLOCKED',
    })
  }
  expect(registry.standing(testSession({ ...alice, issuer: 'https://other.example' }))).toBe('good')
  await registry.unblock(alice)
  await registry.delegate('module', testSession(alice), { target: 'x' })
  expect(module.issued).toHaveLength(4)
  expect(audit.records.filter(({ event }) => event !== 'delegation')).toMatchObject([
    { event: 'block', ...alice, credentials: 2 },
    { event: 'unblock', ...alice, credentials: 0 },
  ])
})

test('a block with an end is over at that instant', async () => {
  const clock = fakeClock()
  const { registry } = testRegistry({ module: testModule({ clock }) }, { clock })
  await registry.block(alice, { until: new Date(clock.now() + 1_000) })
  const session = testSession(alice)
  clock.tick(999)
  expect(registry.standing(session)).toBe('blocked')
  clock.tick(1)
  expect(registry.standing(session)).toBe('good')
})

test('a block cancels what is being issued, and what arrives late is released and never cached', async () => {
  const work = deferred()
  const module = testModule({ before: () => work.promise })
  const { registry, audit } = testRegistry({ module })
  const calls = [1, 2].map(() => registry.delegate('module', testSession(alice), { target: 'x' }))
  await settle()
  await registry.block(alice)
  for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  expect(module.contexts[0]?.signal.aborted).toBe(true)
  work.resolve()
  await settle()
  expect(module.issued[0]?.releases).toEqual(['aborted'])
  expect(registry.stats().module).toMatchObject({ entries: 0, leases: 0 })
  expect(audit.records.filter(({ event }) => event === 'delegation')).toMatchObject([
    { outcome: 'refused', code: 'ERR_SESSION_BLOCKED' },
    { outcome: 'refused', code: 'ERR_SESSION_BLOCKED' },
  ])
})

test('a block while the audit sink writes hands out nothing', async () => {
  const written = deferred()
  const module = testModule()
  const { registry } = testRegistry(
    { module },
    { audit: ({ event }) => (event === 'delegation' ? written.promise : undefined) },
  )
  const call = registry.delegate('module', testSession(alice), { target: 'x' })
  await settle()
  await registry.block(alice)
  written.resolve()
  await expect(call).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  expect(module.issued[0]?.releases).toEqual(['revoked'])
})

test('a block clears what was refused before', async () => {
  let refuse = true
  const module = testModule({ principal: (session) => session.subject })
  const { issue } = module
  const { registry } = testRegistry({
    module: {
      ...module,
      issue: async (request, context) => {
        if (refuse) throw new DelegationError('ERR_DELEGATION_DENIED', 'not yet')
        return issue(request, context)
      },
    },
  })
  await expect(registry.delegate('module', testSession(alice), { target: 'x' })).rejects.toThrow('not yet')
  refuse = false
  await expect(registry.delegate('module', testSession(alice), { target: 'x' })).rejects.toThrow('not yet')
  await registry.block(alice)
  await registry.unblock(alice)
  await registry.delegate('module', testSession(alice), { target: 'x' })
})

test('ending a session refuses that token only, and keeps what another live session covers', async () => {
  const module = testModule()
  const { registry, audit } = testRegistry({ module })
  const [one, two] = [testSession(alice), testSession(alice)]
  const leaseOfOne = await registry.delegate('module', one, { target: 'shared' })
  const leaseOfTwo = await registry.delegate('module', two, { target: 'shared' })
  await registry.delegate('module', one, { target: 'alone' })
  await expect(registry.endSession(one)).resolves.toEqual({ credentials: 1 })
  expect(module.issued.map(({ releases }) => releases)).toEqual([[], ['revoked']])
  expect(() => leaseOfOne.value).toThrow(expect.objectContaining({ code: 'ERR_SESSION_INVALID' }))
  expect(leaseOfTwo.value.serial).toBe(0)
  expect(registry.standing(one)).toBe('ended')
  await expect(registry.delegate('module', one, { target: 'shared' })).rejects.toMatchObject({
    code: 'ERR_SESSION_INVALID',
  })
  await registry.delegate('module', two, { target: 'shared' })
  await expect(registry.endSession({ id: two.id })).resolves.toEqual({ credentials: 1 })
  expect(registry.standing(two)).toBe('ended')
  expect(audit.records.filter(({ event }) => event === 'end-session')).toMatchObject([
    { sessionId: one.id, subject: 'alice', credentials: 1 },
    { sessionId: two.id, credentials: 1 },
  ])
})

test('ending a login session refuses every token of it, also those that come later', async () => {
  const module = testModule()
  const { registry } = testRegistry({ module })
  const inSession = (): Session => testSession({ ...alice, claims: { sid: 'login-1' } })
  await registry.delegate('module', inSession(), { target: 'x' })
  await registry.delegate('module', inSession(), { target: 'x' })
  const other = testSession({ ...alice, claims: { sid: 'login-2' } })
  await registry.endSession({ sid: 'login-1' })
  expect(module.issued[0]?.releases).toEqual(['revoked'])
  expect(registry.standing(inSession())).toBe('ended')
  expect(registry.standing(other)).toBe('good')
  await registry.endSession(other)
  expect(registry.standing(testSession({ ...alice, claims: { sid: 'login-2' } }))).toBe('ended')
})

test('a block store that fails refuses everybody, and a block that it can not keep still releases', async () => {
  let broken = false
  const blocks: BlockStore = {
    standing: () => {
      if (broken) throw new Error('no connection')
      return 'good'
    },
    block: () => Promise.reject(new Error('no connection')),
    unblock: () => Promise.reject(new Error('no connection')),
  }
  const module = testModule()
  const { registry } = testRegistry({ module }, { blocks })
  await registry.delegate('module', testSession(alice), { target: 'x' })
  await expect(registry.block(alice)).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  expect(module.issued[0]?.releases).toEqual(['revoked'])
  broken = true
  await expect(registry.delegate('module', testSession(alice), { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
  })
})

test('malformed identities, dates and sessions are refused by name', async () => {
  const { registry } = testRegistry({})
  await expect(registry.block({ issuer: '', subject: 'a' })).rejects.toThrow('"who.issuer"')
  await expect(registry.block({ issuer: 'a', subject: 'a\0' })).rejects.toThrow('"who.subject"')
  await expect(registry.block(alice, { until: new Date(Number.NaN) })).rejects.toThrow('"until"')
  await expect(registry.unblock({} as never)).rejects.toThrow('"who.issuer"')
  await expect(registry.endSession({} as never)).rejects.toThrow('"which"')
})

test('a login session is ended at its own issuer alone, or wherever it is', async () => {
  const { registry } = testRegistry({ module: testModule() })
  const at = (issuer: string): Session => testSession({ issuer, claims: { sid: 'login-1' } })
  const [here, there] = [at(ISSUER), at('https://other.example')]
  await registry.endSession(here)
  expect([registry.standing(at(ISSUER)), registry.standing(there)]).toEqual(['ended', 'good'])
  await registry.endSession({ sid: 'login-1' })
  expect(registry.standing(there)).toBe('ended')
})

test('what arrives after a block of another process is released and never cached', async () => {
  let standing: 'good' | 'blocked' = 'good'
  const work = deferred()
  const module = testModule({ before: () => work.promise })
  const blocks: BlockStore = { standing: () => standing, block: async () => {}, unblock: async () => {} }
  const { registry } = testRegistry({ module }, { blocks })
  const call = registry.delegate('module', testSession(alice), { target: 'x' })
  await settle()
  standing = 'blocked'
  work.resolve()
  await expect(call).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  await settle()
  expect(module.issued[0]?.releases).toEqual(['aborted'])
  expect(registry.stats().module.entries).toBe(0)
})

test('a block store that hangs, or answers anything else, is an outage, and the record says so', async () => {
  const blocks: BlockStore = {
    standing: () => Promise.reject(new Error('asynchronous')) as never,
    block: () => new Promise(() => {}),
    unblock: () => new Promise(() => {}),
  }
  const { registry, audit } = testRegistry({ module: testModule() }, { blocks, deadline: 20 })
  const outage = { code: 'ERR_DELEGATION_UNAVAILABLE' }
  await expect(registry.block(alice)).rejects.toMatchObject(outage)
  await expect(registry.unblock(alice)).rejects.toMatchObject(outage)
  expect(() => registry.standing(testSession(alice))).toThrow(expect.objectContaining(outage))
  expect(audit.records).toMatchObject([
    { event: 'block', ...outage, reason: 'the block store failed' },
    { event: 'unblock', ...outage },
  ])
})

test('the record of an ended session names what was ended', async () => {
  const { registry, audit } = testRegistry({})
  await registry.endSession({ sid: 'login-1', issuer: ISSUER })
  await registry.endSession({ id: 'token-1' })
  expect(audit.records).toMatchObject([
    { event: 'end-session', sid: 'login-1', issuer: ISSUER },
    { event: 'end-session', sessionId: 'token-1', sid: undefined },
  ])
})

test('a token without an end in sight stays ended', async () => {
  const { registry } = testRegistry({})
  const token = secret('eternal')
  const forever = { ...alice, token, expiresAt: new Date(8.64e15) }
  await registry.endSession(testSession(forever))
  expect(registry.standing(testSession(forever))).toBe('ended')
})
