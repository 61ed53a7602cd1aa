import { DelegationError } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { OwnLogin, UserLogin } from '../src/logins/login-method.ts'
import { Revocations } from '../src/revocations.ts'
import { ownTokens, type TokenOptions, userTokens } from '../src/tokens.ts'
import { VaultError } from '../src/vault-error.ts'
import { auth, type Reply, refusal, standInClient, testSurroundings } from './stand-in.ts'

const MINUTE = 60_000
const never = new AbortController().signal

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setting(reply: Reply = async () => ({})) {
  const client = standInClient(reply)
  const surroundings = testSurroundings()
  const revocations = new Revocations(surroundings)
  const tracked: Promise<unknown>[] = []
  const options: TokenOptions = {
    client,
    surroundings,
    revocations,
    signal: never,
    prove: async () => {},
    track: (work) => void tracked.push(work.catch(() => {})),
  }
  const revoked = (): number => client.requests.filter(({ path }) => path === 'auth/token/revoke-self').length
  return { client, surroundings, revocations, options, revoked }
}

function personal(setup = setting(), limits = {}, lifetime = 15 * MINUTE) {
  const logIn = vi.fn<UserLogin['logIn']>(async () => auth(lifetime))
  const tokens = userTokens({ type: 'jwt', as: 'user', logIn }, { max: 3, maxIdle: MINUTE, ...limits }, setup.options)
  return { ...setup, logIn, tokens }
}

const alice = (): ReturnType<typeof testSession> => testSession({ subject: 'alice' })

test('who asks at the same time shares one login, and who asks later its token', async () => {
  const { tokens, logIn } = personal()
  const session = alice()
  const held = await Promise.all([1, 2, 3].map(() => tokens.acquire(session, never)))
  held.push(await tokens.acquire(session, never))
  expect(logIn).toHaveBeenCalledOnce()
  expect(new Set(held.map(({ token }) => token)).size).toBe(1)
})

test('each token of a user is logged in with for itself, since its claims decide what Vault allows', async () => {
  const { tokens, logIn } = personal()
  const [one, other] = await Promise.all([alice(), alice()].map((session) => tokens.acquire(session, never)))
  expect(logIn).toHaveBeenCalledTimes(2)
  expect(one?.token).not.toBe(other?.token)
})

test('one caller who leaves does not take the login from the others', async () => {
  const { tokens, logIn } = personal()
  let finish = (): void => {}
  logIn.mockImplementationOnce(() => new Promise((resolve) => (finish = () => resolve(auth(MINUTE)))))
  const session = alice()
  const leaving = new AbortController()
  const first = tokens.acquire(session, leaving.signal)
  const second = tokens.acquire(session, never)
  leaving.abort(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  finish()
  expect((await second).token.isFresh).toBe(true)
})

test('a login that nobody waits for any more is given up as soon as it succeeds', async () => {
  const { tokens, logIn, revoked } = personal()
  let finish = (): void => {}
  logIn.mockImplementationOnce(() => new Promise((resolve) => (finish = () => resolve(auth(MINUTE)))))
  const leaving = new AbortController()
  const only = tokens.acquire(alice(), leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(only).rejects.toThrow('gone')
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(revoked()).toBe(1)
})

test('a login that failed is told to all who waited, and is not remembered', async () => {
  const { tokens, logIn } = personal()
  logIn.mockRejectedValueOnce(refusal(503))
  const session = alice()
  const results = await Promise.allSettled([1, 2].map(() => tokens.acquire(session, never)))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await tokens.acquire(session, never)
  expect(logIn).toHaveBeenCalledTimes(2)
})

test('what the login method itself says stands', async () => {
  const { tokens, logIn } = personal()
  logIn.mockRejectedValueOnce(new DelegationError('ERR_DELEGATION_DENIED', 'no'))
  await expect(tokens.acquire(alice(), never)).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
})

test('a token that nothing depends on is kept for a while, and revoked then', async () => {
  const { tokens, revoked } = personal()
  const held = await tokens.acquire(alice(), never)
  await vi.advanceTimersByTimeAsync(5 * MINUTE)
  expect(revoked()).toBe(0)
  await held.end()
  await vi.advanceTimersByTimeAsync(MINUTE / 2)
  expect(revoked()).toBe(0)
  await vi.advanceTimersByTimeAsync(MINUTE)
  expect(revoked()).toBe(1)
  expect(tokens.size).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})

test('in the last third of its life a token makes nothing new, and lives until nothing depends on it', async () => {
  const { tokens, logIn, revoked } = personal()
  const session = alice()
  const held = await tokens.acquire(session, never)
  await vi.advanceTimersByTimeAsync(10 * MINUTE + 1)
  const next = await tokens.acquire(session, never)
  expect(logIn).toHaveBeenCalledTimes(2)
  expect(next.token).not.toBe(held.token)
  expect(revoked()).toBe(0)
  await held.end()
  expect(revoked()).toBe(1)
})

test('there are no more idle tokens than the limit, and none that is needed is taken', async () => {
  const { tokens, revoked } = personal(setting(), { max: 3 })
  const needed = await tokens.acquire(alice(), never)
  for (let count = 0; count < 6; count++) await (await tokens.acquire(alice(), never)).end()
  expect(tokens.size).toBeLessThanOrEqual(4)
  expect(revoked()).toBeGreaterThanOrEqual(3)
  expect(needed.token.isFresh).toBe(true)
})

test('at the end every token is revoked, also one that something depends on', async () => {
  const { tokens, revoked } = personal()
  await tokens.acquire(alice(), never)
  await (await tokens.acquire(alice(), never)).end()
  await tokens.dispose()
  expect(revoked()).toBe(2)
  expect(vi.getTimerCount()).toBe(0)
})

test('a token that is said to be dead is revoked all the same, and the log says where it can not be', async () => {
  let refused = false
  const setup = setting(async ({ path }) => {
    if (path === 'auth/token/revoke-self' && refused) throw refusal(403)
    return {}
  })
  const { tokens, revoked, surroundings, revocations } = personal(setup)
  for (refused of [false, true]) {
    const held = await tokens.acquire(alice(), never)
    held.token.declareDead()
    await held.end()
  }
  expect(revoked()).toBe(2)
  expect(revocations.size).toBe(0)
  expect(surroundings.lines).toEqual([expect.objectContaining({ level: 'warn' })])
})

test('a token that is dead already needs no second revocation', async () => {
  const { tokens, revocations } = personal(
    setting(async ({ path }) => {
      if (path === 'auth/token/revoke-self') throw refusal(403)
      return {}
    }),
  )
  await tokens.acquire(alice(), never)
  await tokens.dispose()
  expect(revocations.size).toBe(0)
})

function own(members: Partial<OwnLogin> = {}, setup = setting()) {
  const logIn = vi.fn<OwnLogin['logIn']>(async () => auth(15 * MINUTE))
  const tokens = ownTokens({ type: 'approle', as: 'self', owned: true, logIn, ...members }, setup.options)
  return { ...setup, logIn, tokens }
}

test('as itself, the server logs in once for everybody', async () => {
  const { tokens, logIn } = own()
  const held = await Promise.all([alice(), testSession({ subject: 'bob' })].map((who) => tokens.acquire(who, never)))
  expect(logIn).toHaveBeenCalledOnce()
  expect(held[0]?.token).toBe(held[1]?.token)
})

test('a token of its own that has died is replaced by one login, however many ask', async () => {
  const { tokens, logIn } = own()
  const held = await tokens.acquire(undefined, never)
  held.token.declareDead()
  const next = await Promise.all([1, 2, 3].map(() => tokens.acquire(undefined, never)))
  expect(logIn).toHaveBeenCalledTimes(2)
  expect(new Set(next.map(({ token }) => token)).size).toBe(1)
})

test('a file with another token is followed, and tokens from files are not revoked', async () => {
  let current = true
  const { tokens, logIn, revoked } = own({ owned: false, isCurrent: async () => current })
  const held = await tokens.acquire(undefined, never)
  current = false
  await held.end()
  const [one, other] = await Promise.all([tokens.acquire(undefined, never), tokens.acquire(undefined, never)])
  expect(logIn).toHaveBeenCalledTimes(2)
  expect(one?.token).toBe(other?.token)
  await tokens.dispose()
  expect(revoked()).toBe(0)
})

test('a token that the login method does not want is revoked', async () => {
  const setup = setting(async ({ path }) => (path === 'auth/jwt/login' ? { auth: auth(MINUTE) } : {}))
  const { tokens, logIn, revoked } = personal(setup)
  logIn.mockImplementationOnce(async (_session, { post }) => {
    await post('auth/jwt/login', {})
    throw new DelegationError('ERR_DELEGATION_PROTOCOL', 'it is root')
  })
  await expect(tokens.acquire(alice(), never)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  expect(revoked()).toBe(1)
})

test('nobody is logged in at a server that is not trusted', async () => {
  const setup = setting()
  const prove = vi.fn().mockRejectedValueOnce(new DelegationError('ERR_DELEGATION_PROTOCOL', 'no'))
  const logIn = vi.fn<UserLogin['logIn']>(async () => auth(MINUTE))
  const limits = { max: 3, maxIdle: MINUTE }
  const tokens = userTokens({ type: 'jwt', as: 'user', logIn }, limits, { ...setup.options, prove })
  await expect(tokens.acquire(alice(), never)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  expect(logIn).not.toHaveBeenCalled()
})

test('a token whose renewal may have been done is revoked, though its time should be over', async () => {
  const { tokens, revoked } = personal(
    setting(async ({ path }) => {
      if (path === 'auth/token/renew-self') throw new VaultError('late', 'late', { uncertain: true })
      return {}
    }),
  )
  const held = await tokens.acquire(alice(), never)
  await vi.advanceTimersByTimeAsync(10 * MINUTE)
  await expect(held.token.extend(Date.now() + 60 * MINUTE)).rejects.toMatchObject({ kind: 'late' })
  await vi.advanceTimersByTimeAsync(5 * MINUTE + 1)
  expect(held.token.isDead).toBe(true)
  await tokens.dispose()
  expect(revoked()).toBe(1)
})

test('a token that never ends is for everybody', async () => {
  const { tokens, logIn } = own({ logIn: vi.fn(async () => auth(Number.POSITIVE_INFINITY)) })
  const one = await tokens.acquire(undefined, never)
  expect((await tokens.acquire(undefined, never)).token).toBe(one.token)
  expect(logIn).not.toHaveBeenCalled()
})

test('a token that somebody waits for is not swept before they have it', async () => {
  const { tokens, logIn, revoked } = personal(setting(), { max: 1 })
  const finish: (() => void)[] = []
  logIn.mockImplementation(() => new Promise((resolve) => finish.push(() => resolve(auth(MINUTE)))))
  for (let steps = 0; steps < 20; steps++) {
    const first = tokens.acquire(alice(), new AbortController().signal)
    await vi.advanceTimersByTimeAsync(0)
    finish.pop()?.()
    for (let step = 0; step < steps; step++) await undefined
    void tokens.acquire(alice(), new AbortController().signal)
    expect((await first).token.isFresh).toBe(true)
  }
  expect(revoked()).toBe(0)
})

test('a login that its only caller leaves in the moment in which it succeeds is not forgotten', async () => {
  for (const how of ['acquire', 'acquireAlone'] as const)
    for (let steps = 0; steps < 20; steps++) {
      const { tokens, logIn, revoked } = personal(setting(), { maxIdle: 60 * MINUTE })
      let finish = (): void => {}
      logIn.mockImplementationOnce(() => new Promise((resolve) => (finish = () => resolve(auth(MINUTE)))))
      const leaving = new AbortController()
      const asked = tokens[how]?.(alice(), leaving.signal)
      await vi.advanceTimersByTimeAsync(0)
      finish()
      for (let step = 0; step < steps; step++) await undefined
      leaving.abort(new Error('gone'))
      const held = await asked?.catch(() => undefined)
      await vi.advanceTimersByTimeAsync(0)
      expect([revoked(), held?.token.isFresh ?? false]).toEqual(held === undefined ? [1, false] : [0, true])
    }
})

test('a token that is given up while the file of another is looked at is not used', async () => {
  let look = (): void => {}
  const { tokens, logIn } = own({ isCurrent: () => new Promise((resolve) => (look = () => resolve(true))) })
  const held = await tokens.acquire(undefined, never)
  await held.end()
  const next = tokens.acquire(undefined, never)
  await held.token.retire()
  look()
  expect((await next).token.isFresh).toBe(true)
  expect(logIn).toHaveBeenCalledTimes(2)
})

test('whether a token is dead is not told by a question that was asked before it died', async () => {
  const answers: (() => void)[] = []
  let isAlive = true
  const { tokens } = personal(
    setting(async ({ path }) => {
      if (path !== 'auth/token/lookup-self') return {}
      const wasAlive = isAlive
      await new Promise<void>((resolve) => answers.push(resolve))
      if (!wasAlive) throw refusal(403)
      return {}
    }),
  )
  const { token } = await tokens.acquire(alice(), never)
  const first = token.askWhetherDead()
  isAlive = false
  const others = [token.askWhetherDead(), token.askWhetherDead()]
  for (let count = 0; count < 2; count++) {
    answers.pop()?.()
    await vi.advanceTimersByTimeAsync(0)
  }
  expect(await Promise.all([first, ...others])).toEqual([false, true, true])
})
