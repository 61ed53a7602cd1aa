import { expect, it } from 'vitest'
import { DelegationError } from '../../src/errors.ts'
import { secret } from '../../src/secret.ts'
import { snapshotOf } from '../../src/session.ts'
import { testSession } from '../../src/testing/test-session.ts'

it('makes a live session of a user, which a registry accepts', () => {
  const session = testSession()
  expect(session).toMatchObject({ issuer: 'https://idp.example', subject: 'alice', kind: 'user', displayName: 'alice' })
  expect(session.expiresAt.getTime()).toBe(session.issuedAt.getTime() + 3_600_000)
  expect(session.expiresAt.getTime()).toBeGreaterThan(Date.now())
  expect(session.claims).toMatchObject({ iss: 'https://idp.example', sub: 'alice', client_id: 'test-client' })
  expect(snapshotOf(session)).toBeDefined()
})

it('gives each session a token of its own', () => {
  const [one, other] = [testSession(), testSession()]
  expect(one.token?.reveal()).not.toBe(other.token?.reveal())
  expect(one.id).not.toBe(other.id)
})

it('takes every field, and keeps the claims in step with them', () => {
  const issuedAt = new Date('2030-01-01T00:00:00Z')
  const session = testSession({
    issuer: 'https://other.example',
    subject: 'bob',
    clientId: undefined,
    groups: new Set(['staff']),
    token: secret('a-token-of-my-own'),
    claims: { sid: 'login-1' },
    issuedAt,
  })
  expect(session.expiresAt).toEqual(new Date('2030-01-01T01:00:00Z'))
  expect([...session.groups]).toEqual(['staff'])
  expect(session.token?.reveal()).toBe('a-token-of-my-own')
  expect(session.claims).toMatchObject({ iss: 'https://other.example', sub: 'bob', sid: 'login-1', iat: 1_893_456_000 })
  expect(testSession({ token: undefined }).token).toBeUndefined()
})

it('refuses what no session may hold', () => {
  expect(() => testSession({ subject: 'line\nbreak' })).toThrow(DelegationError)
})
