import { inspect } from 'node:util'
import { expect, test, vi } from 'vitest'
import { DelegationError, isDelegationError } from '../src/errors.ts'
import { secret } from '../src/secret.ts'

test('says what happened, to whom it may concern', () => {
  const cause = new Error('connection refused')
  const retryAfter = new Date(1)
  const error = new DelegationError('ERR_RATE_LIMITED', 'too many requests', { cause, retryAfter })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'DelegationError', code: 'ERR_RATE_LIMITED', retryable: true, cause, retryAfter })
  expect(error.scopes).toBeUndefined()
  expect(new DelegationError('ERR_SESSION_SCOPE', 'more', { scopes: ['a'] }).scopes).toEqual(['a'])
})

test('has no cause where there is none', () => {
  expect('cause' in new DelegationError('ERR_AUDIT_FAILED', 'x')).toBe(false)
  expect('cause' in new DelegationError('ERR_AUDIT_FAILED', 'x', { cause: undefined })).toBe(false)
  expect(new DelegationError('ERR_AUDIT_FAILED', 'x', { cause: null }).cause).toBeNull()
})

test('only an outage and a rate limit are worth another try', () => {
  const retryable = (
    [
      'ERR_SESSION_INVALID',
      'ERR_SESSION_EXPIRED',
      'ERR_SESSION_BLOCKED',
      'ERR_SESSION_SCOPE',
      'ERR_TOOL_DENIED',
      'ERR_RATE_LIMITED',
      'ERR_INTERACTION_REQUIRED',
      'ERR_DELEGATION_NO_IDENTITY',
      'ERR_DELEGATION_DENIED',
      'ERR_DELEGATION_INVALID_REQUEST',
      'ERR_DELEGATION_UNAVAILABLE',
      'ERR_DELEGATION_PROTOCOL',
      'ERR_DELEGATION_UNKNOWN_MODULE',
      'ERR_AUDIT_FAILED',
    ] as const
  ).filter((code) => new DelegationError(code, 'x').retryable)
  expect(retryable).toEqual(['ERR_RATE_LIMITED', 'ERR_DELEGATION_UNAVAILABLE'])
})

test('is known, also where another copy of this package made it', async () => {
  vi.resetModules()
  const copy = await import('../src/errors.ts')
  const theirs = new copy.DelegationError('ERR_DELEGATION_DENIED', 'no')
  expect(theirs).not.toBeInstanceOf(DelegationError)
  expect(isDelegationError(theirs)).toBe(true)
  expect(copy.isDelegationError(new DelegationError('ERR_DELEGATION_DENIED', 'no'))).toBe(true)
})

test('takes nothing else for one', () => {
  const lookalikes = [
    undefined,
    null,
    'ERR_DELEGATION_DENIED',
    new Error('x'),
    Object.assign(new Error('x'), { code: 'ERR_DELEGATION_DENIED', name: 'DelegationError', retryable: false }),
    { name: 'DelegationError', code: 'ERR_DELEGATION_DENIED', message: 'x' },
    { [Symbol.for('mcp-delegation.error')]: true, code: 'ERR_DELEGATION_DENIED' },
    JSON.parse('{"mcp-delegation.error":true,"code":"ERR_DELEGATION_DENIED"}'),
  ]
  expect(lookalikes.filter(isDelegationError)).toEqual([])
})

test('the mark is neither printed nor enumerable, and cannot be taken away', () => {
  const error = new DelegationError('ERR_DELEGATION_DENIED', 'no')
  const mark = Symbol.for('mcp-delegation.error')
  expect(inspect(error)).not.toContain('mcp-delegation.error')
  expect(Object.getOwnPropertyDescriptor(error, mark)).toMatchObject({ enumerable: false, writable: false })
  expect(Reflect.deleteProperty(error, mark)).toBe(false)
})

test('a secret in the cause stays one', () => {
  const error = new DelegationError('ERR_DELEGATION_PROTOCOL', 'no', { cause: { password: secret('hunter2') } })
  expect(inspect(error, { depth: null })).toContain('[redacted]')
  expect(inspect(error, { depth: null, showHidden: true })).not.toContain('hunter2')
})
