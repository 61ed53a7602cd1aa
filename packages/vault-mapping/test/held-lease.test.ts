import type { Retention } from '@mcp-delegation/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Engine } from '../src/engine.ts'
import { HeldLease } from '../src/held-lease.ts'
import { Revocations } from '../src/revocations.ts'
import type { EngineLease } from '../src/sources/source.ts'
import { VaultError } from '../src/vault-error.ts'
import { VaultToken } from '../src/vault-token.ts'
import { auth, type Reply, refusal, standInClient, testSurroundings } from './stand-in.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const never = new AbortController().signal

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A server that renews tokens and leases as asked, unless `reply` answers otherwise. */
function setting(
  options: {
    reply?: Reply
    personal?: boolean
    owned?: boolean
    batch?: boolean
    tokenLife?: number
    lease?: Partial<EngineLease>
  } = {},
) {
  const { reply, personal = true, owned = true, batch = false, tokenLife = 24 * HOUR } = options
  const client = standInClient(async (request, signal) => {
    if (reply !== undefined) {
      const answer = await reply(request, signal)
      if (Object.keys(answer).length > 0) return answer
    }
    const increment = Number(request.body?.['increment'] ?? 0) * 1_000
    if (request.path === 'auth/token/renew-self') return { auth: auth(increment) }
    if (request.path === 'sys/leases/renew') return { leaseDuration: increment, renewable: true }
    return {}
  })
  const surroundings = testSurroundings()
  const revocations = new Revocations(surroundings)
  let revokesLeases = true
  const engine: { -readonly [Member in keyof Engine]: Engine[Member] } = {
    ...surroundings,
    revocations,
    isPersonal: personal,
    revokesLeases: async () => revokesLeases,
    cannotRevokeLeases: () => {
      revokesLeases = false
    },
    send: (path, body, token, signal = never) =>
      client.request({ method: 'PUT', path, body, token: token.secret, retry: false }, { signal }),
  }
  const finish = vi.fn(async (_token: VaultToken) => {})
  const given = { auth: auth(tokenLife, { batch }), client, clock: surroundings.clock, signal: never, finish }
  const token = new VaultToken({ ...given, owned })
  const leased = { id: 'database/creds/x/1', renewable: true, duration: HOUR, expiresAt: Date.now() + HOUR }
  const newLease = (): HeldLease => new HeldLease({ ...leased, ...options.lease }, { token, end: token.hold() }, engine)
  const extend = vi.fn()
  const retention = { coveredUntil: new Date(Date.now() + 100 * HOUR) as Date | undefined, extend }
  const sent = (path: string): number => client.requests.filter((request) => request.path === path).length
  return {
    client,
    surroundings,
    revocations,
    engine,
    token,
    finish,
    lease: newLease(),
    newLease,
    retention,
    extend,
    sent,
  }
}

function ends(extend: { mock: { calls: unknown[][] } }): readonly number[] {
  return extend.mock.calls.map(([until]) => (until as Date).getTime())
}

test('a lease is renewed in the last third of its life, again and again, while it is covered', async () => {
  const { lease, retention, extend, sent } = setting()
  const start = Date.now()
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.66)
  expect(sent('sys/leases/renew')).toBe(0)
  await vi.advanceTimersByTimeAsync(HOUR * 0.1)
  expect(sent('sys/leases/renew')).toBe(1)
  expect(ends(extend)[0]).toBeGreaterThan(start + 1.66 * HOUR)
  await vi.advanceTimersByTimeAsync(5 * HOUR)
  expect(sent('sys/leases/renew')).toBeGreaterThan(6)
  expect(sent('sys/leases/renew')).toBeLessThan(10)
  expect(lease.isLive).toBe(true)
})

test('nothing is renewed that no live session covers, and the lease ends with its time', async () => {
  const { lease, retention, sent } = setting()
  retention.coveredUntil = undefined
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(2 * HOUR)
  expect(sent('sys/leases/renew')).toBe(0)
  expect(lease.isLive).toBe(false)
  expect(vi.getTimerCount()).toBe(0)
})

test('a lease that is covered again before its end is renewed', async () => {
  const { lease, retention, sent } = setting()
  const coveredUntil = retention.coveredUntil
  retention.coveredUntil = undefined
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.75)
  retention.coveredUntil = coveredUntil
  await vi.advanceTimersByTimeAsync(HOUR * 0.15)
  expect(sent('sys/leases/renew')).toBe(1)
})

test('the token is renewed first where it would end before the lease', async () => {
  const { lease, retention, sent, token } = setting({ tokenLife: 1.2 * HOUR })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.8)
  expect(sent('auth/token/renew-self')).toBe(1)
  expect(token.expiresAt).toBeGreaterThan(Date.now() + HOUR)
})

test('a lease is renewed in time also where its token has a small part of its life', async () => {
  const { lease, retention, sent, token } = setting({ tokenLife: 2 * MINUTE })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(20 * MINUTE)
  expect(sent('auth/token/renew-self')).toBeGreaterThan(10)
  expect(token.isDead).toBe(false)
  expect(lease.isLive).toBe(true)
})

test('a lease lives no longer than its token, whatever the server says of it', async () => {
  const { lease, token } = setting({ tokenLife: 10 * MINUTE })
  expect(lease.expiresAt).toBe(token.expiresAt)
  await vi.advanceTimersByTimeAsync(10 * MINUTE)
  expect(lease.isLive).toBe(false)
})

test('at its maximum a lease is renewed no more', async () => {
  const reply: Reply = async ({ path }) =>
    path === 'sys/leases/renew' ? { leaseDuration: 20 * MINUTE, renewable: true } : {}
  const { lease, retention, extend, sent } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(3 * HOUR)
  expect(sent('sys/leases/renew')).toBe(1)
  expect(extend).toHaveBeenCalledOnce()
  expect(vi.getTimerCount()).toBe(0)
})

test('a lease that the server does not renew has no timer', () => {
  const { lease, retention } = setting({ lease: { renewable: false } })
  lease.renewFor(retention)
  expect(vi.getTimerCount()).toBe(0)
})

test('an answer to a renewal that comes after the end changes nothing', async () => {
  let answer = (): void => {}
  const reply: Reply = ({ path }) =>
    path === 'sys/leases/renew'
      ? new Promise((resolve) => (answer = () => resolve({ leaseDuration: HOUR, renewable: true })))
      : Promise.resolve({})
  const { lease, retention, extend, sent } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.75)
  await lease.end('evicted')
  answer()
  await vi.advanceTimersByTimeAsync(10 * HOUR)
  expect(extend).not.toHaveBeenCalled()
  expect(sent('sys/leases/renew')).toBe(1)
  expect(vi.getTimerCount()).toBe(0)
})

test('an outage is waited out, and the lease is renewed afterwards', async () => {
  let down = true
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/renew' && down) throw new VaultError('unreachable', 'down', { uncertain: false })
    return {}
  }
  const { lease, retention, extend, sent } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.75)
  expect(extend).not.toHaveBeenCalled()
  down = false
  await vi.advanceTimersByTimeAsync(5 * MINUTE)
  expect(extend).toHaveBeenCalledOnce()
  expect(sent('sys/leases/renew')).toBeLessThan(8)
})

test('an outage to the end leaves a lease that is not served any more', async () => {
  const reply: Reply = async () => {
    throw new VaultError('late', 'late', { uncertain: true })
  }
  const { lease, retention } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR)
  expect(lease.isLive).toBe(false)
  expect(vi.getTimerCount()).toBe(0)
})

test('a backend that is down is no end of the lease, though the server answers 400 to both', async () => {
  let failures = 1
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/renew' && failures-- > 0) throw refusal(400)
    return {}
  }
  const { lease, retention, extend, sent } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.8)
  expect(sent('sys/leases/lookup')).toBe(1)
  expect(lease.isLive).toBe(true)
  expect(extend).toHaveBeenCalledOnce()
})

test('a lease that somebody has revoked is not served any more', async () => {
  const reply: Reply = async ({ path }) => {
    if (path.startsWith('sys/leases/')) throw refusal(400)
    return {}
  }
  const { lease, retention } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.75)
  expect(lease.isLive).toBe(false)
  expect(vi.getTimerCount()).toBe(0)
})

test('a token that died takes its leases with it, and a real denial only the renewals', async () => {
  for (const dead of [true, false]) {
    const reply: Reply = async ({ path }) => {
      if (path === 'sys/leases/renew' || (dead && path === 'auth/token/lookup-self')) throw refusal(403)
      return {}
    }
    const { lease, retention, token, sent } = setting({ reply })
    lease.renewFor(retention)
    await vi.advanceTimersByTimeAsync(HOUR * 0.75)
    expect(token.isDead).toBe(dead)
    expect(lease.isLive).toBe(!dead)
    await vi.advanceTimersByTimeAsync(10 * MINUTE)
    expect(sent('sys/leases/renew')).toBe(1)
  }
})

test('its end is told to the server once, and then its token is free', async () => {
  const { lease, sent, token } = setting()
  await Promise.all([lease.end('expired'), lease.end('disposed')])
  expect(sent('sys/leases/revoke')).toBe(1)
  expect(token.holds).toBe(0)
  expect(lease.isLive).toBe(false)
})

test('a lease whose time is over needs no revocation', async () => {
  const { lease, sent, token } = setting()
  await vi.advanceTimersByTimeAsync(HOUR)
  await lease.end('expired')
  expect(sent('sys/leases/revoke')).toBe(0)
  expect(token.holds).toBe(0)
})

test('where the token may not revoke leases, it ends itself, as soon as no other lease needs it', async () => {
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/revoke') throw refusal(403)
    return {}
  }
  const { lease, newLease, finish, token, sent } = setting({ reply })
  const other = newLease()
  await lease.end('evicted')
  expect(token.isFresh).toBe(false)
  expect(finish).not.toHaveBeenCalled()
  expect(other.isLive).toBe(true)
  await other.end('evicted')
  expect(finish).toHaveBeenCalledOnce()
  expect(sent('sys/leases/revoke')).toBe(1)
})

test.each(['revoked', 'disposed'] as const)(
  "%s, the user's token ends, which ends the lease, and not the token of everybody",
  async (reason) => {
    const user = setting({ personal: true })
    await user.lease.end(reason)
    expect(user.finish).toHaveBeenCalledOnce()
    expect(user.sent('sys/leases/revoke')).toBe(0)
    const everybody = setting({ personal: false })
    await everybody.lease.end(reason)
    expect(everybody.finish).not.toHaveBeenCalled()
    expect(everybody.sent('sys/leases/revoke')).toBe(1)
  },
)

test('at a block the token of the user ends, however many leases end at the same time', async () => {
  const { lease, newLease, finish, token } = setting()
  const other = newLease()
  await Promise.all([lease.end('revoked'), other.end('revoked')])
  expect(token.isFresh).toBe(false)
  expect(finish).toHaveBeenCalledOnce()
})

test('a token that is said to be dead may live, and not look itself up: its leases are revoked all the same', async () => {
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/renew' || path === 'auth/token/lookup-self') throw refusal(403)
    return {}
  }
  const { lease, retention, token, sent, finish } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR * 0.75)
  expect(token.isDead).toBe(true)
  await lease.end('revoked')
  expect(sent('sys/leases/revoke')).toBe(1)
  expect(finish).toHaveBeenCalledOnce()
})

test('where the token of everybody may not revoke leases, the log says what a block has left', async () => {
  for (const personal of [true, false]) {
    const { lease, newLease, engine, surroundings, sent } = setting({ personal })
    newLease()
    engine.revokesLeases = async () => false
    await lease.end('revoked')
    expect(sent('sys/leases/revoke')).toBe(0)
    expect(surroundings.lines).toHaveLength(personal ? 0 : 1)
  }
})

test('a revocation that has to wait keeps the token that it needs', async () => {
  let down = true
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/revoke' && down) throw new VaultError('unreachable', 'down', { uncertain: false })
    return {}
  }
  const { lease, token, revocations, finish } = setting({ reply })
  await lease.end('evicted')
  await token.retire()
  expect(revocations.size).toBe(1)
  expect(finish).not.toHaveBeenCalled()
  down = false
  await vi.advanceTimersByTimeAsync(5_000)
  expect(revocations.size).toBe(0)
  expect(finish).toHaveBeenCalledOnce()
})

test('a lease of 768 hours is not renewed before its time', async () => {
  const long = 768 * HOUR
  const { lease, retention, sent } = setting({
    tokenLife: Number.POSITIVE_INFINITY,
    lease: { duration: long, expiresAt: Date.now() + long },
  })
  lease.renewFor({ ...retention, coveredUntil: new Date(Date.now() + 2 * long) } as Retention)
  await vi.advanceTimersByTimeAsync(500 * HOUR)
  expect(sent('sys/leases/renew')).toBe(0)
  await vi.advanceTimersByTimeAsync(100 * HOUR)
  expect(sent('sys/leases/renew')).toBe(1)
})

test('a renewal whose answer was lost may have put the end off, so that the lease is revoked after its time, too', async () => {
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/renew') throw new VaultError('late', 'late', { uncertain: true })
    return {}
  }
  const { lease, retention, sent } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR + MINUTE)
  expect(lease.isLive).toBe(false)
  await lease.end('expired')
  expect(sent('sys/leases/revoke')).toBe(1)
})

test('a renewal that was certainly not done puts nothing off', async () => {
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/renew') throw new VaultError('unreachable', 'down', { uncertain: false })
    return {}
  }
  const { lease, retention, sent } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(HOUR + MINUTE)
  await lease.end('expired')
  expect(sent('sys/leases/revoke')).toBe(0)
})

test('a revocation is tried for as long as a renewal that was under way may have put the end off', async () => {
  let answer = (): void => {}
  let down = true
  const reply: Reply = async ({ path }) => {
    if (path === 'sys/leases/renew')
      return new Promise((resolve) => {
        answer = () => resolve({ leaseDuration: HOUR, renewable: true })
      })
    if (path === 'sys/leases/revoke' && down) throw new VaultError('unreachable', 'down', { uncertain: false })
    return {}
  }
  const { lease, retention, sent, revocations } = setting({ reply })
  lease.renewFor(retention)
  await vi.advanceTimersByTimeAsync(0.75 * HOUR)
  await lease.end('evicted')
  answer()
  await vi.advanceTimersByTimeAsync(0.5 * HOUR)
  expect(revocations.size).toBe(1)
  down = false
  await vi.advanceTimersByTimeAsync(MINUTE)
  expect(revocations.size).toBe(0)
  expect(sent('sys/leases/revoke')).toBeGreaterThan(1)
})

test('a lease of a token that somebody else renews is revoked, though the token should have ended', async () => {
  const { lease, sent } = setting({ personal: false, owned: false, tokenLife: 10 * MINUTE })
  await vi.advanceTimersByTimeAsync(11 * MINUTE)
  expect(lease.isLive).toBe(false)
  await lease.end('expired')
  expect(sent('sys/leases/revoke')).toBe(1)
})

test('a batch token can not be revoked, so that its leases are', async () => {
  for (const reason of ['revoked', 'disposed', 'evicted'] as const) {
    const { lease, sent } = setting({ batch: true })
    await lease.end(reason)
    expect(sent('sys/leases/revoke')).toBe(1)
  }
})

test('what ends, or is left by its last session, while its token is renewed is not renewed itself', async () => {
  for (const how of ['end', 'leave']) {
    let answer = (): void => {}
    const reply: Reply = ({ path }) =>
      path === 'auth/token/renew-self'
        ? new Promise((resolve) => (answer = () => resolve({ auth: auth(2 * HOUR) })))
        : Promise.resolve({})
    const { lease, retention, sent } = setting({ reply, tokenLife: 1.2 * HOUR })
    lease.renewFor(retention)
    await vi.advanceTimersByTimeAsync(0.75 * HOUR)
    expect(sent('auth/token/renew-self')).toBe(1)
    if (how === 'end') await lease.end('evicted')
    else retention.coveredUntil = undefined
    answer()
    await vi.advanceTimersByTimeAsync(HOUR)
    expect(sent('sys/leases/renew')).toBe(0)
    expect(lease.isLive).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  }
})

test('a lease whose answer took long may end as much later than is said, and is revoked until then', async () => {
  const { lease, sent } = setting({ lease: { duration: HOUR, expiresAt: Date.now() + HOUR - 5_000 } })
  await vi.advanceTimersByTimeAsync(HOUR - 2_000)
  expect(lease.isLive).toBe(false)
  await lease.end('expired')
  expect(sent('sys/leases/revoke')).toBe(1)
})
