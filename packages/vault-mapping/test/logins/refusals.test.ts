import { DelegationError } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { createRefusals } from '../../src/logins/refusals.ts'

const cause = new Error('400')

function thrownBy(work: () => void): unknown {
  try {
    work()
    return undefined
  } catch (error) {
    return error
  }
}

test('The first 30 seconds are an outage, then it is the configuration', () => {
  const refusals = createRefusals()
  const session = testSession()
  const codes = [0, 1_000, 3_000, 7_000, 15_000, 29_999, 30_000, 45_000].map((now) =>
    refusals.refused(session, now, cause),
  )
  expect(codes.map(({ code }) => code)).toEqual([
    ...Array.from({ length: 6 }, () => 'ERR_DELEGATION_UNAVAILABLE'),
    'ERR_DELEGATION_PROTOCOL',
    'ERR_DELEGATION_PROTOCOL',
  ])
  expect(codes[0]?.cause).toBe(cause)
})

test('Vault is asked again after 1, 2, 4, 8 and 15 seconds', () => {
  const refusals = createRefusals()
  const session = testSession()
  let now = 5_000
  for (const wait of [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
    const failure = refusals.refused(session, now, cause)
    if (failure.code === 'ERR_DELEGATION_UNAVAILABLE') expect(failure.retryAfter).toEqual(new Date(now + wait))
    const early = thrownBy(() => refusals.check(session, now + wait - 1))
    expect(early).toBeInstanceOf(DelegationError)
    expect(early).toMatchObject({ cause })
    now += wait
    refusals.check(session, now)
  }
})

test('What fails fast tells the truth of its time', () => {
  const refusals = createRefusals()
  const session = testSession()
  for (const now of [0, 1_000, 3_000, 7_000, 16_000]) refusals.refused(session, now, cause)
  expect(thrownBy(() => refusals.check(session, 29_000))).toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
    retryAfter: new Date(31_000),
  })
  expect(thrownBy(() => refusals.check(session, 30_500))).toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
})

test('Another token of the user is asked for at once, another user is another matter', () => {
  const refusals = createRefusals()
  const [first, second] = [testSession(), testSession()]
  refusals.refused(first, 0, cause)
  refusals.check(second, 1)
  refusals.check(testSession({ subject: 'bob' }), 1)
  refusals.check(testSession({ issuer: 'https://other.example' }), 1)
  expect(refusals.refused(second, 2, cause).retryAfter).toEqual(new Date(2_002))
  // Neither of two tokens lets the other be asked for again and again.
  for (const session of [first, second]) expect(thrownBy(() => refusals.check(session, 3))).toBeDefined()
  expect(refusals.refused(testSession(), 40_000, cause).code).toBe('ERR_DELEGATION_PROTOCOL')
})

test('A success clears it, and so does a long silence', () => {
  const refusals = createRefusals()
  const session = testSession()
  refusals.refused(session, 0, cause)
  refusals.refused(session, 31_000, cause)
  refusals.accepted(testSession())
  expect(refusals.size).toBe(0)
  refusals.check(session, 31_001)
  expect(refusals.refused(session, 32_000, cause).code).toBe('ERR_DELEGATION_UNAVAILABLE')
  refusals.refused(session, 100_000, cause)
  expect(refusals.refused(session, 220_000, cause).code).toBe('ERR_DELEGATION_UNAVAILABLE')
})

test('The table is bounded: who was refused longest ago is forgotten', () => {
  const refusals = createRefusals(3)
  const sessions = ['a', 'b', 'c', 'd'].map((subject) => testSession({ subject }))
  for (const [now, session] of sessions.slice(0, 3).entries()) refusals.refused(session, now, cause)
  refusals.refused(sessions[1] as never, 3, cause)
  refusals.refused(sessions[0] as never, 3, cause)
  expect(refusals.size).toBe(3)
  refusals.refused(sessions[3] as never, 4, cause)
  expect(refusals.size).toBe(3)
  expect(sessions.map((session) => thrownBy(() => refusals.check(session, 5)) !== undefined)).toEqual([
    true,
    true,
    false,
    true,
  ])
})
