import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { envelopeOf } from '../src/envelope.ts'
import { envelope } from './fixtures/http-stand-in.ts'

const sentAt = 1_000_000
const auth = {
  client_token: 's.token',
  accessor: 'acc',
  policies: ['default', 'user'],
  token_policies: ['default'],
  identity_policies: ['team'],
  lease_duration: 900,
  renewable: true,
  num_uses: 0,
}

test('Seconds become milliseconds', () => {
  const lease = { lease_id: 'database/creds/x/1', renewable: true, lease_duration: 60, data: { a: 1 } }
  expect(envelopeOf(envelope({ ...lease, warnings: ['w', 1] }), sentAt)).toEqual({
    sentAt,
    leaseId: 'database/creds/x/1',
    renewable: true,
    leaseDuration: 60_000,
    data: { a: 1 },
    auth: undefined,
    warnings: ['w'],
  })
})

test('An answer without a body is an envelope without data', () => {
  expect(envelopeOf({}, sentAt)).toMatchObject({ leaseId: '', leaseDuration: 0, data: undefined, auth: undefined })
})

test('A token ends when the login says, counted from when it was asked for', () => {
  const parsed = envelopeOf(envelope({ auth }), sentAt)?.auth
  expect(parsed).toMatchObject({ accessor: 'acc', expiresAt: sentAt + 900_000, renewable: true, uses: 0 })
  expect(parsed?.policies).toEqual(['default', 'user', 'team'])
  expect(parsed?.token.reveal()).toBe('s.token')
  expect(envelopeOf(envelope({ auth: { ...auth, lease_duration: 0 } }), sentAt)?.auth?.expiresAt).toBe(Infinity)
})

test('A token is not printed', () => {
  const parsed = envelopeOf(envelope({ auth }), sentAt)
  expect(inspect(parsed, { depth: 9 }) + JSON.stringify(parsed)).not.toContain('s.token')
})

test('What is not what the API says is nothing', () => {
  const wrong = [
    [],
    'text',
    null,
    envelope({ lease_id: 1 }),
    envelope({ lease_duration: -1 }),
    envelope({ lease_duration: '60' }),
    envelope({ lease_duration: 1e300 }),
    envelope({ renewable: 'yes' }),
    envelope({ data: [1] }),
    envelope({ data: 'text' }),
    envelope({ auth: 'text' }),
    envelope({ auth: { ...auth, client_token: '' } }),
    envelope({ auth: { ...auth, client_token: 'a\r\nX-Vault-Token: b' } }),
    envelope({ auth: { ...auth, client_token: undefined } }),
    envelope({ auth: { ...auth, lease_duration: undefined } }),
    envelope({ auth: { ...auth, num_uses: -1 } }),
    envelope({ auth: { ...auth, renewable: 1 } }),
  ]
  for (const body of wrong) expect([body, envelopeOf(body, sentAt)]).toEqual([body, undefined])
})

test('No JSON makes it throw', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => void envelopeOf(value, sentAt)))
})
