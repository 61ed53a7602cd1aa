import { expectTypeOf, test } from 'vitest'
import type { Secret, Session, VerifiedClaims } from '../src/index.ts'
import { createSession, secret } from '../src/index.ts'

declare const session: Session
declare const verified: VerifiedClaims

test('a session is made of claims, and is read-only', () => {
  expectTypeOf(createSession).parameters.toEqualTypeOf<[VerifiedClaims]>()
  expectTypeOf(createSession(verified)).toEqualTypeOf<Session>()
  // @ts-expect-error has no id of its own
  void verified.id
  // @ts-expect-error kind is user or machine
  void ({ ...verified, kind: 'admin' } satisfies VerifiedClaims)
  // @ts-expect-error expiry is required
  void ({ ...verified, expiresAt: undefined } satisfies VerifiedClaims)
  // @ts-expect-error read-only
  session.subject = 'administrator'
  // @ts-expect-error read-only
  session.groups.add('admins')
  // @ts-expect-error read-only
  session.claims['sub'] = 'administrator'
})

test('what frameworks want as an index signature, a session has', () => {
  expectTypeOf<Session>().toExtend<Record<string, unknown>>()
})

test('claims are unknown until they are checked', () => {
  expectTypeOf(session.claims['email']).toEqualTypeOf<unknown>()
  // @ts-expect-error unknown
  const email: string = session.claims['email']
  void email
})

test('a secret is revealed before it is text', () => {
  expectTypeOf(secret('x')).toEqualTypeOf<Secret<string>>()
  expectTypeOf(secret('x').reveal()).toEqualTypeOf<string>()
  // @ts-expect-error not text
  const text: string = secret('x')
  // @ts-expect-error of another type
  const number: Secret<number> = secret('x')
  void [text, number]
})
