import { inspect } from 'node:util'
import { secret } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { authInfoOf, sessionOf } from '../src/auth-info.ts'
import { METADATA, RESOURCE } from './support.ts'

test('an AuthInfo carries the session and never the token', () => {
  const session = testSession({ scopes: new Set(['read']), token: secret('the-raw-token') })
  const authInfo = authInfoOf(session, RESOURCE, METADATA)
  expect(authInfo).toMatchObject({ token: '[redacted]', clientId: 'test-client', scopes: ['read'] })
  expect(authInfo.expiresAt).toBe(Math.floor(session.expiresAt.getTime() / 1000))
  expect(authInfo.resource?.href).toBe(RESOURCE)
  expect(authInfo.resourceMetadataUrl).toBe(METADATA)
  expect(JSON.stringify(authInfo) + inspect(authInfo, { depth: 9 })).not.toContain('the-raw-token')
  expect(sessionOf(authInfo)).toBe(session)
})

test('it is made once per session', () => {
  const session = testSession()
  expect(authInfoOf(session, RESOURCE, METADATA)).toBe(authInfoOf(session, RESOURCE, METADATA))
  expect(authInfoOf(session, 'https://other.example/', 'https://other.example/m').resourceMetadataUrl).toBe(
    'https://other.example/m',
  )
})

test('a session that somebody else put there is none', () => {
  for (const session of [testSession(), { subject: 'admin' }, 'admin', null, undefined])
    expect(sessionOf({ extra: { session } })).toBeUndefined()
  expect(sessionOf(undefined)).toBeUndefined()
  expect(sessionOf({})).toBeUndefined()
})
