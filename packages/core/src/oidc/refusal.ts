import { DelegationError } from '../errors.ts'
import { printable } from '../text.ts'

/** What an operator may read of `error` and its causes: codes and messages, escaped; never properties, which can hold claims. */
export function detailOf(error: unknown): string {
  const details: string[] = []
  for (let one = error; one instanceof Error && details.length < 3; one = one.cause) {
    const { code } = one as { readonly code?: unknown }
    details.push(typeof code === 'string' ? `${code} ${one.message}` : one.message)
  }
  return details.length === 0 ? 'something that is not an error was thrown' : printable(details.join(': '), 300)
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
export function outage(reason: string, error?: unknown, retryAfter?: Date): DelegationError {
  const cause = new Error(error === undefined ? reason : `${reason}: ${detailOf(error)}`)
  return new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the access token could not be verified at the moment', {
    cause,
    retryAfter,
  })
}
