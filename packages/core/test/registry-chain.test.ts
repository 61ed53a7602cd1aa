import { DelegationError, type DelegationErrorCode, firstMapped } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { testModule, testRegistry } from './support.ts'

const alice = testSession({ subject: 'alice' })

test('the next member is asked only where a mapping has no entry, and audit names the member that served', async () => {
  const personal = testModule({ type: 'personal', principal: (s) => (s.subject === 'alice' ? 'db-alice' : undefined) })
  const shared = testModule({ type: 'shared', shared: true, principal: () => 'readonly' })
  const { registry, audit } = testRegistry({ db: firstMapped(personal, shared) })
  for (const subject of ['alice', 'bob', 'bob'])
    await registry.delegate('db', testSession({ subject }), { target: 'x' })
  expect(audit.records).toMatchObject([
    { outcome: 'issued', type: 'personal', principal: 'db-alice', module: 'db' },
    { outcome: 'issued', type: 'shared', principal: 'readonly', module: 'db' },
    { outcome: 'reused', type: 'shared', principal: 'readonly', module: 'db' },
  ])
})

const codes: readonly DelegationErrorCode[] = [
  'ERR_DELEGATION_DENIED',
  'ERR_DELEGATION_UNAVAILABLE',
  'ERR_DELEGATION_PROTOCOL',
  'ERR_DELEGATION_INVALID_REQUEST',
  'ERR_RATE_LIMITED',
  'ERR_INTERACTION_REQUIRED',
]
test.each(codes)('%s of the first member never falls through to the shared account', async (code) => {
  const personal = testModule({
    before: () => {
      throw new DelegationError(code, 'no')
    },
  })
  const shared = testModule({ shared: true })
  const { registry, audit } = testRegistry({ db: firstMapped(personal, shared) })
  for (let call = 0; call < 2; call++)
    await expect(registry.delegate('db', alice, { target: 'x' })).rejects.toMatchObject({ code })
  expect(shared.contexts).toHaveLength(0)
  expect(audit.records).toHaveLength(2)
})

test('a bare error of the first member never falls through either', async () => {
  const personal = testModule({
    before: () => {
      throw new Error('secret detail')
    },
  })
  const shared = testModule({ shared: true })
  const { registry } = testRegistry({ db: firstMapped(personal, shared) })
  await expect(registry.delegate('db', alice, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_PROTOCOL',
    message: 'the module failed',
  })
  expect(shared.contexts).toHaveLength(0)
})

test('a missing mapping that shows only at the backend moves on too, and is remembered', async () => {
  const personal = testModule({
    before: () => {
      throw new DelegationError('ERR_DELEGATION_NO_IDENTITY', 'no row')
    },
  })
  const shared = testModule({ type: 'shared', shared: true })
  const { registry } = testRegistry({ db: firstMapped(personal, shared) })
  expect((await registry.delegate('db', alice, { target: 'x' })).type).toBe('shared')
  expect((await registry.delegate('db', alice, { target: 'x' })).type).toBe('shared')
  expect([personal.contexts.length, shared.contexts.length]).toEqual([1, 1])
})

test('where nobody is mapped the answer is no identity, in one record', async () => {
  const none = testModule({ principal: () => undefined })
  const { registry, audit } = testRegistry({ db: firstMapped(none, none) })
  await expect(registry.delegate('db', alice, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_NO_IDENTITY',
  })
  expect(audit.records).toMatchObject([
    { outcome: 'refused', code: 'ERR_DELEGATION_NO_IDENTITY', principal: undefined },
  ])
})

test('every member has its own policy check, schema and target', async () => {
  const asked: string[] = []
  const none = testModule({ type: 'none', principal: () => undefined, target: ({ target }) => `none/${target}` })
  const shared = testModule({ type: 'shared', shared: true, target: ({ target }) => `shared/${target}` })
  const { registry, audit } = testRegistry(
    { db: firstMapped(none, shared) },
    {
      policy: {
        tool: () => ({ allowed: true }),
        delegation: ({ type, target }) => {
          asked.push(`${type} ${target}`)
          return { allowed: false, reason: 'closed' }
        },
      },
    },
  )
  await expect(registry.delegate('db', alice, { target: 'x' })).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
  expect(asked).toEqual(['shared shared/x'])
  expect(audit.records).toMatchObject([{ type: 'shared', target: 'shared/x', outcome: 'refused' }])
})

test('a machine has no credential of its own, and does not fall through', async () => {
  const personal = testModule()
  const shared = testModule({ shared: true })
  const { registry } = testRegistry({ db: firstMapped(personal, shared), shared })
  const machine = testSession({ kind: 'machine', subject: 'batch' })
  await expect(registry.delegate('db', machine, { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_DENIED',
  })
  await registry.delegate('shared', machine, { target: 'x' })
})
