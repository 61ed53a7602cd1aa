import assert from 'node:assert/strict'
import { type DelegationError, isDelegationError } from '../../errors.ts'
import { isCleanText } from '../../text.ts'

/** A module's failure is the framework's error, with a message that a model may read. */
export function assertDelegationError(error: unknown): asserts error is DelegationError {
  if (!isDelegationError(error)) throw new Error('a module must fail with a DelegationError', { cause: error })
  assert.ok(isCleanText(error.message, 1024), 'a message must be one short line, without control characters')
}
