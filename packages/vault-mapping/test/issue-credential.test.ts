import type { IssueContext, PasswordCredential } from '@mcp-delegation/core'
import { DelegationError, secret } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test, vi } from 'vitest'
import type { Engine } from '../src/engine.ts'
import { issueCredential } from '../src/issue-credential.ts'
import { Revocations } from '../src/revocations.ts'
import type { Source } from '../src/sources/source.ts'
import { type TokenOptions, userTokens } from '../src/tokens.ts'
import { VaultError } from '../src/vault-error.ts'
import { auth, type Reply, refusal, standInClient, testSurroundings } from './stand-in.ts'

const MINUTE = 60_000

function setting(reply: Reply = async () => ({})) {
  const client = standInClient(reply)
  const surroundings = testSurroundings()
  const revocations = new Revocations(surroundings)
  const closed = new AbortController()
  const tracked: Promise<unknown>[] = []
  const track = (work: Promise<unknown>): void => void tracked.push(work.catch(() => {}))
  const options: TokenOptions = {
    client,
    surroundings,
    revocations,
    signal: closed.signal,
    prove: async () => {},
    track,
  }
  const logIn = vi.fn(async () => auth(15 * MINUTE))
  const tokens = userTokens({ type: 'jwt', as: 'user', logIn }, { max: 10, maxIdle: MINUTE }, options)
  const engine: { -readonly [Member in keyof Engine]: Engine[Member] } = {
    ...surroundings,
    revocations,
    isPersonal: true,
    revokesLeases: async () => true,
    cannotRevokeLeases: () => {},
    send: (path, body, token, signal = closed.signal) =>
      client.request({ method: 'PUT', path, body, token: token.secret, retry: false }, { signal }),
  }
  const leaving = new AbortController()
  const context: IssueContext = {
    ...surroundings,
    session: testSession({ subject: 'alice' }),
    principal: 'alice',
    signal: leaving.signal,
  }
  const issue = <Value>(source: Source<Value>) =>
    issueCredential(source, context, { client, tokens, engine, signal: closed.signal, track })
  const sent = (path: string): number => client.requests.filter((request) => request.path === path).length
  return { client, tokens, logIn, issue, leaving, sent, tracked, engine }
}

/** A source that has one lease made. */
const leased: Source<PasswordCredential> = {
  type: 'test',
  leased: true,
  claims: [],
  async obtain({ make, clock }) {
    await make('engine/creds/x')
    const value = { kind: 'password', username: 'u', password: secret('p') } as const
    return { value, principal: 'u', expiresAt: clock.now() + 60 * MINUTE }
  },
}

const creds: Reply = async ({ path }) =>
  path === 'engine/creds/x' ? { leaseId: 'engine/creds/x/1', leaseDuration: 5 * MINUTE, renewable: true } : {}

test('a credential expires with its lease, and its release ends the lease', async () => {
  const { issue, sent } = setting(creds)
  const issued = await issue(leased)
  expect(issued.expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(5 * MINUTE)
  expect(issued.usable?.()).toBe(true)
  await issued.release?.('expired', { signal: new AbortController().signal })
  expect(sent('sys/leases/revoke')).toBe(1)
  expect(issued.usable?.()).toBe(false)
})

test('one new login where the token has died, and only one', async () => {
  let refusals = 1
  const { issue, logIn } = setting(async (request, signal) => {
    if (request.path === 'engine/creds/x' && refusals-- > 0) throw refusal(403)
    if (request.path === 'auth/token/lookup-self') throw refusal(403)
    return creds(request, signal)
  })
  await issue(leased)
  expect(logIn).toHaveBeenCalledTimes(2)
  refusals = 2
  const other = setting(async ({ path }) => {
    if (path === 'engine/creds/x' || path === 'auth/token/lookup-self') throw refusal(403)
    return {}
  })
  await expect(other.issue(leased)).rejects.toMatchObject({ status: 403 })
  expect(other.logIn).toHaveBeenCalledTimes(2)
})

test('a real denial stays a denial', async () => {
  const { issue, logIn } = setting(async ({ path }) => {
    if (path === 'engine/creds/x') throw refusal(403)
    return {}
  })
  await expect(issue(leased)).rejects.toMatchObject({ status: 403 })
  expect(logIn).toHaveBeenCalledOnce()
})

test('where nobody can say whether the token is dead, it is an outage and no refusal', async () => {
  const { issue, logIn } = setting(async ({ path }) => {
    if (path === 'engine/creds/x') throw refusal(403)
    throw new VaultError('unreachable', 'down', { uncertain: false })
  })
  await expect(issue(leased)).rejects.toMatchObject({ kind: 'unreachable' })
  expect(logIn).toHaveBeenCalledOnce()
})

test('nothing is leased with a batch token that may not revoke it: its end could not be told', async () => {
  for (const may of [true, false]) {
    const { issue, sent, logIn, engine } = setting(creds)
    logIn.mockImplementation(async () => auth(15 * MINUTE, { batch: true }))
    engine.revokesLeases = async () => may
    if (may) await (await issue(leased)).release?.('revoked', { signal: new AbortController().signal })
    else await expect(issue(leased)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
    expect(sent('engine/creds/x')).toBe(may ? 1 : 0)
    expect(sent('sys/leases/revoke')).toBe(may ? 1 : 0)
  }
})

test('a lease whose making got no answer ends with the token that it was asked for with', async () => {
  const { issue, sent, logIn } = setting(async ({ path }) => {
    if (path === 'engine/creds/x') throw new VaultError('late', 'no answer', { uncertain: true })
    return {}
  })
  await expect(issue(leased)).rejects.toMatchObject({ kind: 'late' })
  expect(sent('auth/token/revoke-self')).toBe(1)
  await expect(issue(leased)).rejects.toMatchObject({ kind: 'late' })
  expect(logIn).toHaveBeenCalledTimes(2)
})

test('a definite failure of a making leaves the token', async () => {
  const { issue, sent, logIn } = setting(async ({ path }) => {
    if (path === 'engine/creds/x') throw refusal(400)
    return {}
  })
  for (let count = 0; count < 2; count++) await expect(issue(leased)).rejects.toMatchObject({ status: 400 })
  expect(logIn).toHaveBeenCalledOnce()
  expect(sent('auth/token/revoke-self')).toBe(0)
})

test('a source that fails after a lease was made leaves none behind', async () => {
  const { issue, sent } = setting(creds)
  const source: Source<never> = {
    type: 'test',
    leased: true,
    claims: [],
    async obtain({ make }) {
      await make('engine/creds/x')
      throw new DelegationError('ERR_DELEGATION_PROTOCOL', 'the answer makes no sense')
    },
  }
  await expect(issue(source)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  expect(sent('sys/leases/revoke')).toBe(1)
})

test.each([
  ['the caller has gone is given back', new Error('gone'), 'sys/leases/revoke'],
  [
    'the user was blocked ends together with the login',
    new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked'),
    'auth/token/revoke-self',
  ],
])('what arrives after %s', async (_what, reason, path) => {
  let answer = (): void => {}
  const { issue, leaving, sent, tracked } = setting((request, signal) =>
    request.path === 'engine/creds/x'
      ? new Promise((resolve) => (answer = () => resolve(creds(request, signal))))
      : Promise.resolve({}),
  )
  const issuing = issue(leased)
  await vi.waitFor(() => expect(sent('engine/creds/x')).toBe(1))
  leaving.abort(reason)
  await expect(issuing).rejects.toBe(reason)
  answer()
  await Promise.all(tracked)
  expect(sent(path)).toBe(1)
})

test('a login of a user who was blocked meanwhile is given up', async () => {
  const { issue, leaving, sent, tracked } = setting(({ path }, signal) =>
    path === 'secret/data/x'
      ? new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      : Promise.resolve({}),
  )
  const source: Source<never> = {
    type: 'test',
    leased: false,
    claims: [],
    obtain: async ({ read }) => Promise.reject(await read('secret/data/x')),
  }
  const issuing = issue(source)
  await vi.waitFor(() => expect(sent('secret/data/x')).toBe(1))
  leaving.abort(new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked'))
  await expect(issuing).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  await Promise.all(tracked)
  expect(sent('auth/token/revoke-self')).toBe(1)
})

test('nothing is made for a caller who has gone before', async () => {
  const { issue, leaving, sent, logIn, tracked } = setting(creds)
  let finish = (): void => {}
  logIn.mockImplementationOnce(() => new Promise((resolve) => (finish = () => resolve(auth(MINUTE)))))
  const issuing = issue(leased)
  leaving.abort(new Error('gone'))
  await expect(issuing).rejects.toThrow('gone')
  finish()
  await Promise.all(tracked)
  expect(sent('engine/creds/x')).toBe(0)
})

test('where tokens may not revoke leases, each lease has a token that no other needs, and ends with it', async () => {
  const { issue, sent, logIn, engine } = setting(creds)
  engine.revokesLeases = async () => false
  const [one, other] = await Promise.all([issue(leased), issue(leased)])
  expect(logIn).toHaveBeenCalledTimes(2)
  await one.release?.('evicted', { signal: new AbortController().signal })
  expect(sent('auth/token/revoke-self')).toBe(1)
  expect(one.usable?.()).toBe(false)
  expect(other.usable?.()).toBe(true)
  expect(sent('sys/leases/revoke')).toBe(0)
})

test('a token that no lease came of is for the next again', async () => {
  let down = true
  const { issue, logIn, engine, sent } = setting(async (request, signal) => {
    if (request.path === 'engine/creds/x' && down) throw refusal(500)
    return creds(request, signal)
  })
  engine.revokesLeases = async () => false
  for (let count = 0; count < 3; count++) await expect(issue(leased)).rejects.toMatchObject({ status: 500 })
  down = false
  const issued = await issue(leased)
  expect(logIn).toHaveBeenCalledOnce()
  await issued.release?.('evicted', { signal: new AbortController().signal })
  expect(sent('auth/token/revoke-self')).toBe(1)
})

test('a block while Vault is asked what the token may do ends the login', async () => {
  const { issue, engine, leaving, tracked, sent } = setting(creds)
  let answer = (_may: boolean): void => {}
  const ask = vi.fn(() => new Promise<boolean>((resolve) => (answer = resolve)))
  engine.revokesLeases = ask
  const issuing = issue(leased)
  await vi.waitFor(() => expect(ask).toHaveBeenCalledOnce())
  leaving.abort(new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked'))
  await expect(issuing).rejects.toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  answer(false)
  await Promise.all(tracked)
  expect(sent('engine/creds/x')).toBe(0)
  expect(sent('auth/token/revoke-self')).toBe(1)
})

test('a block ends the login, also where nothing was leased', async () => {
  const stored: Source<string> = {
    type: 'test',
    leased: false,
    claims: [],
    obtain: async ({ read, clock }) => {
      await read('secret/data/x')
      return { value: 'v', principal: 'u', expiresAt: clock.now() + MINUTE }
    },
  }
  const { issue, sent, client } = setting()
  const options = { signal: new AbortController().signal }
  await (await issue(stored)).release?.('evicted', options)
  expect(sent('auth/token/revoke-self')).toBe(0)
  await (await issue(stored)).release?.('revoked', options)
  expect(sent('auth/token/revoke-self')).toBe(1)
  expect(client.requests.map(({ retry }) => retry)).toEqual([true, true, false])
})
