import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { isDelegationError } from '../src/errors.ts'
import { secret } from '../src/secret.ts'
import {
  createSession,
  identityKey,
  keyOf,
  type Session,
  type SessionSnapshot,
  snapshotOf,
  type VerifiedClaims,
} from '../src/session.ts'

const TOKEN = 'eyJhbGciOi.payload.signature'

function verified(changes: Partial<Record<keyof VerifiedClaims, unknown>> = {}): VerifiedClaims {
  return {
    issuer: 'https://idp.example',
    subject: 'alice',
    clientId: 'app',
    kind: 'user',
    displayName: 'Alice',
    groups: new Set(['staff', 'admins']),
    roles: new Set(['reader']),
    scopes: new Set(['openid', 'invoices']),
    act: [],
    claims: { sub: 'alice', sid: 'login-1', nested: { list: [{ deep: 1 }] } },
    more: { level: 3 },
    issuedAt: new Date(1_000),
    expiresAt: new Date(2_000),
    token: secret(TOKEN),
    ...changes,
  } as VerifiedClaims
}

function snapshot(session: Session): SessionSnapshot {
  const found = snapshotOf(session)
  if (found === undefined) throw new Error('has no snapshot')
  return found
}

const keyWith = (changes: Partial<Record<keyof VerifiedClaims, unknown>>): string =>
  snapshot(createSession(verified(changes))).key

function refusal(claims: unknown): { code: string; message: string } {
  try {
    createSession(claims as VerifiedClaims)
  } catch (error) {
    if (isDelegationError(error)) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('was accepted')
}

test('says what was verified', () => {
  const session = createSession(verified())
  const { token, ...rest } = session
  const { token: _, ...claims } = verified()
  expect(rest).toEqual({
    ...claims,
    groupsComplete: true,
    id: createHash('sha256').update(TOKEN).digest('base64url'),
  })
  expect(token?.reveal()).toBe(TOKEN)
})

test('has the same id for the same token, and a random one where there is none', () => {
  expect(createSession(verified()).id).toBe(createSession(verified({ subject: 'bob' })).id)
  expect(createSession(verified({ token: secret('other') })).id).not.toBe(createSession(verified()).id)
  const ids = new Set(Array.from({ length: 100 }, () => createSession(verified({ token: undefined })).id))
  expect(ids.size).toBe(100)
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
})

test('takes a session without a client, a token and an answer of a post-verifier', () => {
  const session = createSession(verified({ clientId: undefined, token: undefined, more: undefined }))
  expect(session).toMatchObject({ clientId: undefined, token: undefined, more: {} })
})

describe('forging', () => {
  const real = createSession(verified())

  test('only what createSession returned has a snapshot', () => {
    expect(snapshotOf(real)).toBeDefined()
    const forged: readonly unknown[] = [
      { ...real },
      structuredClone({ ...real, token: undefined }),
      Object.create(real, { subject: { value: 'administrator' } }),
      Object.create(real),
      new Proxy(real, {}),
      JSON.parse(JSON.stringify(real)),
      verified(),
      real.id,
      real.claims,
      undefined,
      null,
      0,
      () => real,
    ]
    for (const session of forged) expect(snapshotOf(session)).toBeUndefined()
  })

  test('a session of another copy of this package is foreign', async () => {
    vi.resetModules()
    const copy = await import('../src/session.ts')
    expect(snapshotOf(copy.createSession(verified()))).toBeUndefined()
  })

  test('the snapshot and its session find each other', () => {
    const { session } = snapshot(real)
    expect(session).not.toBe(real)
    expect(session).toEqual(real)
    expect(snapshotOf(session)).toBe(snapshotOf(real))
  })
})

describe('changes after the fact', () => {
  test('of the argument change nothing', () => {
    const groups = new Set(['staff'])
    const expiresAt = new Date(2_000)
    const act = ['gateway']
    const claims = { sub: 'alice', sid: 'login-1', nested: { list: [1] } }
    const more = { level: 1 }
    const given = verified({ groups, expiresAt, act, claims, more })
    const session = createSession(given)
    groups.add('admins')
    expiresAt.setTime(9e15 / 10)
    act.push('other')
    claims.nested.list.push(2)
    claims.sid = 'login-2'
    more.level = 9
    Object.assign(given, { subject: 'administrator', kind: 'machine' })
    for (const copy of [session, snapshot(session).session])
      expect(copy).toMatchObject({
        subject: 'alice',
        kind: 'user',
        groups: new Set(['staff']),
        expiresAt: new Date(2_000),
        act: ['gateway'],
        claims: { sid: 'login-1', nested: { list: [1] } },
        more: { level: 1 },
      })
    expect(snapshot(session).cover).toMatchObject({ sid: 'login-1', expiresAt: 2_000 })
  })

  test('of the sets and dates that were handed out do not reach the snapshot', () => {
    const session = createSession(verified())
    const before = { key: snapshot(session).key, cover: { ...snapshot(session).cover } }
    Set.prototype.add.call(session.groups, 'domain-admins')
    Set.prototype.clear.call(session.roles)
    Set.prototype.add.call(session.scopes, 'everything')
    session.expiresAt.setTime(9e15 / 10)
    session.issuedAt.setTime(0)
    const kept = snapshot(session)
    expect(kept.session).toMatchObject({
      groups: new Set(['staff', 'admins']),
      roles: new Set(['reader']),
      scopes: new Set(['openid', 'invoices']),
      issuedAt: new Date(1_000),
      expiresAt: new Date(2_000),
    })
    expect({ key: kept.key, cover: kept.cover }).toEqual(before)
  })

  test('of anything else are refused', () => {
    const session = createSession(verified())
    const nested = session.claims['nested'] as { list: { deep: number }[] }
    for (const change of [
      () => Object.assign(session, { subject: 'administrator' }),
      () => Object.assign(session, { kind: 'machine' }),
      () => Object.defineProperty(session, 'groups', { value: new Set(['admins']) }),
      () => Object.setPrototypeOf(session, { subject: 'administrator' }),
      () => Object.assign(session.claims, { sid: 'other' }),
      () => nested.list.push({ deep: 2 }),
      () => Object.assign(nested.list[0] ?? {}, { deep: 2 }),
      () => (session.act as string[]).push('gateway'),
      () => Object.assign(session.more, { level: 9 }),
    ])
      expect(change).toThrow(TypeError)
  })

  test('there is nothing in the claims that freezing leaves mutable', () => {
    for (const value of [new Map([['a', 1]]), new Set([1]), new Date(0), new Uint8Array(4), /a/])
      for (const claims of [{ value }, { a: [{ value }] }])
        expect(refusal(verified({ claims }))).toEqual({
          code: 'ERR_SESSION_INVALID',
          message: "the session's claims must be plain data",
        })
  })

  test('claims of another realm are plain data too', () => {
    const claims = runInNewContext('({ sub: "alice", groups: ["a"], address: { country: "NL" } })')
    expect(createSession(verified({ claims })).claims['groups']).toEqual(['a'])
  })

  test('a property that answers differently each time is read once', () => {
    let kind = 'machine'
    const given = Object.defineProperty({ ...verified() }, 'kind', {
      get: () => {
        const answer = kind
        kind = 'administrator'
        return answer
      },
    })
    expect(createSession(given).kind).toBe('machine')
  })
})

describe('what the registry tells sessions apart by', () => {
  const key = keyWith({})

  test('a refreshed token with the same rights has the same key', () => {
    expect(
      keyWith({
        token: secret('refreshed'),
        issuedAt: new Date(1_500),
        expiresAt: new Date(2_500),
        displayName: 'Alice A.',
        claims: { sub: 'alice', sid: 'login-2', jti: 'x', preferred_username: 'alice' },
      }),
    ).toBe(key)
  })

  test('the order of groups, roles and scopes does not count', () => {
    expect(
      keyWith({
        groups: new Set(['admins', 'staff']),
        scopes: new Set(['invoices', 'openid']),
        more: Object.fromEntries([['level', 3]]),
      }),
    ).toBe(key)
  })

  const changes: Readonly<Record<string, Partial<Record<keyof VerifiedClaims, unknown>>>> = {
    issuer: { issuer: 'https://idp.example/' },
    subject: { subject: 'Alice' },
    client: { clientId: 'other' },
    'no client': { clientId: undefined },
    kind: { kind: 'machine' },
    'a group less': { groups: new Set(['staff']) },
    'a group more': { groups: new Set(['staff', 'admins', 'x']) },
    'a group as a role': { groups: new Set(['staff']), roles: new Set(['admins', 'reader']) },
    'a role less': { roles: new Set() },
    'a scope less': { scopes: new Set(['openid']) },
    'groups that read the same when joined': { groups: new Set(['staff,admins']) },
    'an actor': { act: ['gateway'] },
    acr: { claims: { acr: 'mfa' } },
    'another answer of the post-verifier': { more: { level: 4 } },
    'an answer of another type': { more: { level: '3' } },
  }
  test('every right, and every part of who it is, changes the key', () => {
    const keys = [key, ...Object.values(changes).map(keyWith)]
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('the order of actors counts: the nearest is first', () => {
    expect(keyWith({ act: ['a', 'b'] })).not.toBe(keyWith({ act: ['b', 'a'] }))
  })

  test('parts cannot be shifted into each other', () => {
    const parts = fc.array(fc.string(), { maxLength: 4 })
    fc.assert(
      fc.property(parts, parts, (one, two) => {
        expect(keyOf(...one) === keyOf(...two)).toBe(JSON.stringify(one) === JSON.stringify(two))
      }),
    )
    expect(identityKey({ issuer: 'a', subject: 'bc' })).not.toBe(identityKey({ issuer: 'ab', subject: 'c' }))
    expect(keyWith({ issuer: 'a', subject: 'b1:c' })).not.toBe(keyWith({ issuer: 'a1:b', subject: 'c' }))
  })

  test('the login session comes from the claim sid, where that is clean text', () => {
    const sidOf = (claims: object): string | undefined => snapshot(createSession(verified({ claims }))).cover.sid
    expect(sidOf({ sid: 'login-1' })).toBe('login-1')
    for (const sid of [undefined, 7, '', 'a\nb', 'x'.repeat(256), ['login-1'], { a: 1 }])
      expect(sidOf({ sid })).toBeUndefined()
    expect(sidOf({})).toBeUndefined()
  })
})

describe('refuses', () => {
  const hostile = ['', 'a\nb', 'a\0', 'a\u202eb', '\ud800', 'x'.repeat(256), 'é'.repeat(128), 'x'.repeat(10_000)]
  const notText = [undefined, null, 1, {}, ['alice'], new String('alice')]
  const malformed: Readonly<Record<string, readonly unknown[]>> = {
    issuer: [...hostile, ...notText],
    subject: [...hostile, ...notText],
    clientId: [...hostile, null, 1, {}],
    kind: [undefined, 'User', 'admin', null, ['user']],
    groups: [undefined, null, 'admins', 7, {}, new Set([1]), new Set(['']), new Set(['a\u0000']), [['a']]],
    roles: [undefined, 'admin', new Set([null]), new Set(['x'.repeat(1025)])],
    scopes: [undefined, 'openid profile', new Set(['\ud800'])],
    act: [undefined, 'gateway', [1], ['a\n']],
    claims: [undefined, null, 'x', [], { f: () => 1 }, { s: Symbol('x') }],
    more: [null, 'x', [], { f: () => 1 }],
    issuedAt: [undefined, 1_000, '2026-01-01', new Date(Number.NaN)],
    expiresAt: [undefined, Number.POSITIVE_INFINITY, new Date(Number.NaN), { getTime: () => 1 }],
    token: [null, TOKEN, {}, secret(''), secret(7), { reveal: 'x' }, { reveal: () => undefined }],
  }
  for (const [field, values] of Object.entries(malformed))
    test(`a malformed ${field}, naming it and repeating nothing`, () => {
      for (const value of values) {
        const { code, message } = refusal(verified({ [field]: value }))
        expect(code).toBe('ERR_SESSION_INVALID')
        expect(message).toMatch(new RegExp(`^the session's ${field} must be [a-zA-Z0-9 ,'-]{1,80}$`))
      }
    })

  test('what is not an object at all', () => {
    for (const value of [undefined, null, 'x', 1]) expect(refusal(value).code).toBe('ERR_SESSION_INVALID')
  })

  test('rights that are not plain JSON', () => {
    for (const changes of [{ claims: { acr: 1n } }, { more: { a: Number.NaN } }, { more: { a: 'b\u0000' } }])
      expect(refusal(verified(changes))).toMatchObject({ code: 'ERR_SESSION_INVALID', message: /acr and more/ })
  })
})

test('identities are not normalised, and prototype names are names', () => {
  for (const subject of ['__proto__', 'constructor', 'toString', ' alice', 'Zoe\u0308', 'Zoë', '😀', '*', '../x']) {
    const session = createSession(verified({ subject, claims: { sub: subject } }))
    expect(session.subject).toBe(subject)
    expect(session.claims['sub']).toBe(subject)
  }
  expect(keyWith({ subject: 'Zoe\u0308' })).not.toBe(keyWith({ subject: 'Zoë' }))
})

test('a claim named __proto__ pollutes nothing', () => {
  const claims = JSON.parse('{"__proto__":{"admin":true},"sub":"alice"}')
  const session = createSession(verified({ claims }))
  expect(session.claims['admin']).toBeUndefined()
  expect((session as Record<string, unknown>)['admin']).toBeUndefined()
  expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
})

test('the display name is cut and escaped; where there is none, it is the subject', () => {
  expect(createSession(verified({ displayName: 'a\u202eb\n' })).displayName).toBe('a\\u{202e}b\\u{a}')
  expect(createSession(verified({ displayName: 'x'.repeat(10_000) })).displayName).toHaveLength(256)
  expect(createSession(verified({ displayName: undefined })).displayName).toBe('alice')
})

test('the token is not printed, however it was wrapped', () => {
  const wrapped = { text: TOKEN, reveal: () => TOKEN }
  for (const token of [secret(TOKEN), wrapped]) {
    const session = createSession(verified({ token }))
    for (const print of [
      inspect(session, { depth: null, showHidden: true }),
      JSON.stringify(session),
      JSON.stringify(snapshot(session)),
      `${session.token}`,
    ])
      expect(print).not.toContain(TOKEN)
    expect(session.token?.reveal()).toBe(TOKEN)
  }
})

test('the dates of a session are new ones each time', () => {
  const session = createSession(verified())
  session.expiresAt.setTime(0)
  expect(session.expiresAt).toEqual(new Date(2_000))
})

test('the sets of a session refuse to be changed', () => {
  const { groups } = createSession(verified())
  for (const change of [
    () => (groups as Set<string>).add('x'),
    () => (groups as Set<string>).delete('staff'),
    () => (groups as Set<string>).clear(),
  ])
    expect(change).toThrow(TypeError)
  expect([...groups]).toEqual(['staff', 'admins'])
})

test('the id of a signed token does not depend on how its signature is written', () => {
  const header = Buffer.from('{"alg":"RS256"}').toString('base64url')
  const id = (token: string): string => createSession(verified({ token: secret(token) })).id
  expect(id(`${header}.e30.AAAA`)).toBe(id(`${header}.e30.AAAB==`))
  expect(id(`${header}.e30.AAAA`)).not.toBe(id(`${header}.e31.AAAA`))
  expect(id('opaque.of.parts')).not.toBe(id('opaque.of.other'))
  expect(id(`${header}.e30.AAAA.x`)).not.toBe(id(`${header}.e30.AAAA.y`))
})
