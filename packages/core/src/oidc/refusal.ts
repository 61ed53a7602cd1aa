import { DelegationError } from '../errors.ts'
import { printable } from '../text.ts'

/** What an operator may read of `error`: its code and message, escaped; never its properties, which can hold claims. */
export function detailOf(error: unknown): string {
  if (!(error instanceof Error)) return 'something that is not an error was thrown'
  const { code } = error as { readonly code?: unknown }
  return printable(typeof code === 'string' ? `${code}: ${error.message}` : error.message, 300)
}

/** The token is not acceptable, and will not be. `message` is for anybody, `reason` becomes the cause. */
export function refused(reason: string, message = 'the access token was refused'): DelegationError {
  return new DelegationError('ERR_SESSION_INVALID', message, { cause: new Error(reason) })
}

/** The token was acceptable once. */
export function expired(reason: string): DelegationError {
  return new DelegationError('ERR_SESSION_EXPIRED', 'the access token has expired', { cause: new Error(reason) })
}

/** Nothing is known about the token: whoever can tell does not answer, or not sensibly. */
export function outage(reason: string, error?: unknown): DelegationError {
  const cause = new Error(error === undefined ? reason : `${reason}: ${detailOf(error)}`)
  return new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the access token could not be verified at the moment', {
    cause,
  })
}
