import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import type { OidcVerifierOptions, VerifyMore } from '../../src/oidc/index.ts'
import type { SessionVerifier } from '../../src/session.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { outcomeOf, verifierOf } from './support.ts'

let signer: Signer
let clock: FakeClock
/** Runs once for each verification that is not answered from memory. */
let verifyMore: ReturnType<typeof vi.fn<VerifyMore>>

beforeAll(async () => {
  signer = await startSigner()
})
beforeEach(() => {
  clock = fakeClock(new Date('2030-01-01T00:00:00Z'))
  verifyMore = vi.fn<VerifyMore>(async () => ({}))
})
afterEach(() => vi.useRealTimers())
afterAll(() => signer.stop())

const verifierWith = (options: Partial<OidcVerifierOptions> = {}): SessionVerifier =>
  verifierOf(signer, {}, { clock, verifyMore, ...options })

const sign = (seconds: number, claims = {}): Promise<string> => {
  const now = clock.now() / 1000
  return signer.sign({ iat: now, exp: now + seconds, ...claims })
}

describe('a verified token', () => {
  test('is remembered for a minute', async () => {
    const verifier = verifierWith()
    const token = await sign(3600)
    const first = await verifier.verify(token)
    clock.tick(59_999)
    expect(await verifier.verify(token)).toBe(first)
    expect(verifyMore).toHaveBeenCalledTimes(1)
    clock.tick(1)
    expect(await verifier.verify(token)).not.toBe(first)
    expect(verifyMore).toHaveBeenCalledTimes(2)
  })

  test('is never remembered longer than it lives', async () => {
    const verifier = verifierWith()
    const token = await sign(10)
    await verifier.verify(token)
    clock.tick(9_999)
    await expect(verifier.verify(token)).resolves.toMatchObject({ subject: 'alice' })
    clock.tick(1)
    expect(await outcomeOf(verifier.verify(token))).toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
  })

  test('is verified anew when the clock was set back', async () => {
    const verifier = verifierWith()
    const token = await sign(3600, { iat: clock.now() / 1000 - 1800 })
    await verifier.verify(token)
    clock.tick(-60_000)
    await verifier.verify(token)
    expect(verifyMore).toHaveBeenCalledTimes(2)
  })

  test('is not mistaken for another one of the same user', async () => {
    const verifier = verifierWith()
    const [read, write] = [await sign(600, { scope: 'read' }), await sign(600, { scope: 'write' })]
    expect([...(await verifier.verify(read)).scopes]).toEqual(['read'])
    expect([...(await verifier.verify(write)).scopes]).toEqual(['write'])
    expect([...(await verifier.verify(read)).scopes]).toEqual(['read'])
  })

  test('is remembered as long, and among as many, as the operator says', async () => {
    const forgetful = verifierWith({ cache: { maxAge: 0 } })
    const token = await sign(600)
    await forgetful.verify(token)
    await forgetful.verify(token)
    expect(verifyMore).toHaveBeenCalledTimes(2)

    const small = verifierWith({ cache: { max: 2 } })
    const tokens = [
      await sign(600, { jti: '1' }),
      await sign(600, { jti: '2' }),
      await sign(600, { jti: '3' }),
    ] as const
    for (const one of tokens) await small.verify(one)
    await small.verify(tokens[2])
    expect(verifyMore).toHaveBeenCalledTimes(5)
    await small.verify(tokens[0])
    expect(verifyMore).toHaveBeenCalledTimes(6)
  })
})

test('a refusal and an outage are not remembered', async () => {
  const verifier = verifierWith({ timeout: 1_000 })
  const early = await sign(600, { nbf: clock.now() / 1000 + 60 })
  expect(await outcomeOf(verifier.verify(early))).toMatchObject({ code: 'ERR_SESSION_INVALID' })
  clock.tick(60_000)
  await expect(verifier.verify(early)).resolves.toMatchObject({ subject: 'alice' })

  const token = await sign(600)
  verifyMore.mockRejectedValueOnce(new Error('down'))
  expect(await outcomeOf(verifier.verify(token))).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  await expect(verifier.verify(token)).resolves.toMatchObject({ subject: 'alice' })
})

describe('verifications of one token at the same time', () => {
  test('are one', async () => {
    const verifier = verifierWith()
    const token = await sign(600)
    const sessions = await Promise.all(Array.from({ length: 50 }, () => verifier.verify(token)))
    expect(new Set(sessions).size).toBe(1)
    expect(verifyMore).toHaveBeenCalledTimes(1)
  })

  test('go on for the others when one caller gives up, with its own reason', async () => {
    let proceed = (): void => {}
    verifyMore.mockImplementation(() => new Promise((resolve) => (proceed = () => resolve({}))))
    const verifier = verifierWith()
    const token = await sign(600)
    const caller = new AbortController()
    const first = verifier.verify(token, { signal: caller.signal })
    const second = verifier.verify(token)
    await vi.waitFor(() => expect(verifyMore).toHaveBeenCalledTimes(1))
    const reason = new Error('the client went away')
    caller.abort(reason)
    await expect(first).rejects.toBe(reason)
    proceed()
    await expect(second).resolves.toMatchObject({ subject: 'alice' })
    expect(verifyMore).toHaveBeenCalledTimes(1)
  })

  test('are aborted when every caller has given up', async () => {
    let seen: AbortSignal | undefined
    verifyMore.mockImplementation((_, { signal }) => {
      seen = signal
      return new Promise(() => {})
    })
    const verifier = verifierWith()
    const token = await sign(600)
    const callers = [new AbortController(), new AbortController()]
    const waiting = callers.map(({ signal }) => verifier.verify(token, { signal }))
    await vi.waitFor(() => expect(seen).toBeDefined())
    callers[0]?.abort('one')
    expect(seen?.aborted).toBe(false)
    callers[1]?.abort('two')
    expect(seen?.aborted).toBe(true)
    expect(await Promise.allSettled(waiting)).toMatchObject([{ reason: 'one' }, { reason: 'two' }])
  })

  test('do not begin for a caller who gave up before, not even from memory', async () => {
    const verifier = verifierWith()
    const token = await sign(600)
    await verifier.verify(token)
    await expect(verifier.verify(token, { signal: AbortSignal.abort('gone') })).rejects.toBe('gone')
  })
})
