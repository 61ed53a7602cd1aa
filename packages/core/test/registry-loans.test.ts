import type { IssuedCredential, Loan } from '@mcp-delegation/core'
import { DelegationError } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { settle, testModule, testRegistry } from './support.ts'

const ISSUER = 'https://idp.example'
const alice = { issuer: ISSUER, subject: 'alice' }

/** A module that lends: each lease's value is its own, and every loan is kept. */
function lendingModule(members: Partial<IssuedCredential<{ user: string; serial: number }>> = {}) {
  const loans: Loan[] = []
  const module = testModule()
  const { issue } = module
  module.issue = async (request, context) => ({
    ...(await issue(request, context)),
    lend: (loan) => {
      loans.push(loan)
      return { user: loan.session.subject, serial: loans.length }
    },
    ...members,
  })
  return { module, loans }
}

afterEach(() => {
  vi.useRealTimers()
})

test('a lease is lent a value of its own, once, when it is first read', async () => {
  const { module, loans } = lendingModule()
  const { registry } = testRegistry({ module })
  const one = await registry.delegate('module', testSession(alice), { target: 'x' })
  const other = await registry.delegate('module', testSession(alice), { target: 'x' })
  expect(loans).toHaveLength(0)
  expect(one.value).toEqual({ user: 'alice', serial: 1 })
  expect(one.value).toBe(one.value)
  expect(other.value).toEqual({ user: 'alice', serial: 2 })
  expect(loans).toHaveLength(2)
  expect(loans[0]?.expiresAt).toEqual(one.expiresAt)
  expect(module.issued).toHaveLength(1)
})

test('a loan ends with its own lease, and not with another', async () => {
  const { module, loans } = lendingModule()
  const { registry } = testRegistry({ module })
  const leases = [1, 2].map(() => registry.delegate('module', testSession(alice), { target: 'x' }))
  const [one, other] = await Promise.all(leases)
  void [one?.value, other?.value]
  await one?.[Symbol.asyncDispose]()
  expect(loans.map(({ signal }) => signal.aborted)).toEqual([true, false])
  expect(module.issued[0]?.releases).toEqual([])
})

test('a loan ends when the user is blocked', async () => {
  const { module, loans } = lendingModule()
  const { registry } = testRegistry({ module })
  const lease = await registry.delegate('module', testSession(alice), { target: 'x' })
  void lease.value
  await registry.block(alice)
  expect(loans[0]?.signal.reason).toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
})

test('a loan ends with its session, while another session keeps the credential', async () => {
  const { module, loans } = lendingModule()
  const { registry } = testRegistry({ module })
  const [phone, laptop] = [testSession(alice), testSession(alice)]
  for (const session of [phone, laptop]) void (await registry.delegate('module', session, { target: 'x' })).value
  await registry.endSession(phone)
  expect(loans.map(({ signal }) => signal.aborted)).toEqual([true, false])
  expect(loans[0]?.signal.reason).toMatchObject({ code: 'ERR_SESSION_INVALID' })
})

test('a loan ends when its lease expires, also where nobody disposes of it', async () => {
  vi.useFakeTimers()
  const clock = fakeClock(new Date(Date.now()))
  const { module, loans } = lendingModule()
  const { registry } = testRegistry({ module }, { clock })
  const session = testSession({ ...alice, expiresAt: new Date(clock.now() + 5_000) })
  void (await registry.delegate('module', session, { target: 'x' })).value
  await vi.advanceTimersByTimeAsync(4_999)
  expect(loans[0]?.signal.aborted).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(loans[0]?.signal.aborted).toBe(true)
})

test('what is read from a lease that was disposed of before is lent for no time at all', async () => {
  const { module, loans } = lendingModule()
  const { registry } = testRegistry({ module })
  const lease = await registry.delegate('module', testSession(alice), { target: 'x' })
  await lease[Symbol.asyncDispose]()
  void lease.value
  expect(loans[0]?.signal.aborted).toBe(true)
})

test('an export is recorded under the name of the holder, and so is its refusal', async () => {
  const { module, loans } = lendingModule({ principal: 'alice@BACKEND' })
  const { registry, audit } = testRegistry({ module })
  const session = testSession(alice)
  void (await registry.delegate('module', session, { target: 'x' }, { tool: 'copy' })).value
  await loans[0]?.recordExport()
  await loans[0]?.recordExport(new DelegationError('ERR_DELEGATION_DENIED', 'not for export'))
  const who = { ...alice, sessionId: session.id, tool: 'copy', module: 'module', type: 'test', target: 'x' }
  expect(audit.records.slice(1)).toMatchObject([
    { event: 'export', outcome: 'exported', code: undefined, principal: 'alice@BACKEND', ...who },
    { event: 'export', outcome: 'refused', code: 'ERR_DELEGATION_DENIED', reason: 'not for export', ...who },
  ])
})

test('an export that is not recorded does not happen', async () => {
  const { module, loans } = lendingModule()
  const sink = vi.fn()
  const { registry } = testRegistry({ module }, { audit: sink })
  void (await registry.delegate('module', testSession(alice), { target: 'x' })).value
  sink.mockRejectedValue(new Error('disk full'))
  await expect(loans[0]?.recordExport()).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
})

test('a credential that is not usable any more is dropped, and the next call is issued a new one', async () => {
  let usable: () => boolean = () => true
  const module = testModule()
  const { issue } = module
  module.issue = async (request, context) => ({ ...(await issue(request, context)), usable: () => usable() })
  const { registry, audit } = testRegistry({ module })
  const serial = async (): Promise<number> => {
    const lease = await registry.delegate('module', testSession(alice), { target: 'x' })
    await lease[Symbol.asyncDispose]()
    return lease.value.serial
  }
  expect([await serial(), await serial()]).toEqual([0, 0])
  usable = () => false
  expect(await serial()).toBe(1)
  usable = () => {
    throw new Error('broken')
  }
  expect(await serial()).toBe(2)
  usable = () => true
  expect(await serial()).toBe(2)
  await settle()
  expect(module.issued.map(({ releases }) => releases)).toEqual([['invalidated'], ['invalidated'], []])
  expect(audit.records).toMatchObject(
    ['issued', 'reused', 'issued', 'issued', 'reused'].map((outcome) => ({ event: 'delegation', outcome })),
  )
})

test('a module that lends by something else than a function has issued nothing', async () => {
  for (const member of ['lend', 'usable'] as const) {
    const module = testModule()
    const { issue } = module
    module.issue = async (request, context) => ({ ...(await issue(request, context)), [member]: true as never })
    const { registry } = testRegistry({ module })
    await expect(registry.delegate('module', testSession(alice), { target: 'x' })).rejects.toMatchObject({
      code: 'ERR_DELEGATION_PROTOCOL',
    })
  }
})
