import { expect, test } from 'vitest'
import { failureOf } from '../src/failure.ts'
import { VaultError, type VaultErrorKind } from '../src/vault-error.ts'

const rows: readonly [kind: VaultErrorKind, status: number | undefined, code: string][] = [
  ['status', 400, 'PROTOCOL'],
  ['status', 401, 'PROTOCOL'],
  ['status', 403, 'DENIED'],
  ['status', 404, 'DENIED'],
  ['status', 405, 'PROTOCOL'],
  ['status', 408, 'UNAVAILABLE'],
  ['status', 412, 'UNAVAILABLE'],
  ['status', 415, 'PROTOCOL'],
  ['status', 429, 'UNAVAILABLE'],
  ['status', 472, 'UNAVAILABLE'],
  ['status', 473, 'UNAVAILABLE'],
  ['status', 500, 'UNAVAILABLE'],
  ['status', 501, 'UNAVAILABLE'],
  ['status', 503, 'UNAVAILABLE'],
  ['unreachable', undefined, 'UNAVAILABLE'],
  ['late', undefined, 'UNAVAILABLE'],
  ['redirected', 307, 'UNAVAILABLE'],
  ['malformed', 200, 'PROTOCOL'],
  ['malformed', undefined, 'PROTOCOL'],
]

test.each(rows)('A failure of the kind %s with the status %s is %s', (kind, status, code) => {
  const cause = new VaultError(kind, 'what the operator reads', { status, uncertain: false })
  const failure = failureOf(cause, { target: 'billing' })
  expect(failure.code).toBe(`ERR_DELEGATION_${code}`)
  expect(failure.cause).toBe(cause)
  expect(failure.message).toContain('"billing"')
  expect(failure.message).not.toContain('operator reads')
  expect(failureOf(cause, {}).message).not.toContain('"')
})

test('When to try again is when the server said', () => {
  const retryAt = Date.parse('2026-03-01T12:00:00Z')
  const busy = new VaultError('status', 'busy', { status: 429, uncertain: false, retryAt })
  expect(failureOf(busy, {}).retryAfter).toEqual(new Date(retryAt))
  expect(failureOf(new VaultError('late', 'late', { uncertain: true }), {}).retryAfter).toBeUndefined()
})
