import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import { DelegationError } from '../../src/index.ts'
import type { VerifyMore } from '../../src/oidc/index.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { outcomeOf, verifierOf } from './support.ts'

let signer: Signer
beforeAll(async () => {
  signer = await startSigner()
})
afterAll(() => signer.stop())

const verify = async (verifyMore: VerifyMore, timeout = 5_000) =>
  verifierOf(signer, {}, { verifyMore, timeout }).verify(await signer.sign())

const OUTAGE = { code: 'ERR_DELEGATION_UNAVAILABLE' }

test('is asked about the verified session, and its answer is part of the session', async () => {
  const session = await verify(async (asked, { signal }) => {
    expect(asked).toMatchObject({ subject: 'alice', kind: 'user', more: {} })
    expect(signal.aborted).toBe(false)
    return { uid: 'u-1', groups: ['system:authenticated'] }
  })
  expect(session.more).toEqual({ uid: 'u-1', groups: ['system:authenticated'] })
  expect(Object.isFrozen(session.more)).toBe(true)
})

test('is not asked about a token that is refused', async () => {
  let asked = 0
  const verifyMore: VerifyMore = async () => ({ asked: ++asked })
  const verifier = verifierOf(signer, {}, { verifyMore })
  expect(await outcomeOf(verifier.verify(await signer.sign({ aud: 'https://other.example' })))).toMatchObject({
    code: 'ERR_SESSION_INVALID',
  })
  expect(asked).toBe(0)
})

test('refuses with an error of its own, which is passed on', async () => {
  const refusal = new DelegationError('ERR_SESSION_INVALID', 'the cluster does not know this user')
  await expect(verify(() => Promise.reject(refusal))).rejects.toBe(refusal)
})

test('counts as out of order with any other error, thrown or rejected, and lets nobody in', async () => {
  const failure = (): never => {
    throw new Error('ECONNREFUSED')
  }
  for (const verifyMore of [failure, async () => failure()]) {
    const outcome = await outcomeOf(verify(verifyMore))
    expect(outcome).toMatchObject(OUTAGE)
    expect(outcome.message).not.toContain('ECONNREFUSED')
    expect(outcome.reason).toContain('ECONNREFUSED')
  }
})

test.each([
  ['nothing', undefined],
  ['a text', 'yes'],
  ['a list', []],
  ['a function inside', { check: () => true }],
  ['a hostile text inside', { note: 'a\u0000b' }],
])('counts as out of order when it answers with %s', async (_, answer) => {
  expect(await outcomeOf(verify(async () => answer as never))).toMatchObject(OUTAGE)
})

test('counts as out of order when it takes too long, whether it heeds its signal or not', async () => {
  expect(await outcomeOf(verify(() => new Promise(() => {}), 250))).toMatchObject(OUTAGE)
})

test('can’t make a session of a token that expires in the meantime', async () => {
  const clock = fakeClock(new Date('2030-01-01T00:00:00Z'))
  const now = clock.now() / 1000
  const verifyMore: VerifyMore = async () => {
    clock.tick(30_000)
    return {}
  }
  const verifier = verifierOf(signer, {}, { clock, verifyMore })
  const token = await signer.sign({ iat: now, exp: now + 30 })
  expect(await outcomeOf(verifier.verify(token))).toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
})
