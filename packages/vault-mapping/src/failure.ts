import { DelegationError, type DelegationErrorCode } from '@mcp-delegation/core'
import type { VaultError } from './vault-error.ts'

/** What was being done. */
export interface Circumstances {
  /** The target of the options that a credential was to be obtained for; absent where it was for none. */
  readonly target?: string | undefined
}

/** What a failed request means where nobody knows better; its cause is for the operator. */
export function failureOf(error: VaultError, { target }: Circumstances): DelegationError {
  const code = codeOf(error)
  const object = target === undefined ? '' : ` for "${target}"`
  const retryAfter = error.retryAt === undefined ? undefined : new Date(error.retryAt)
  return new DelegationError(code, `${SAYS[code]}${object}`, { cause: error, retryAfter })
}

type FailureCode = Extract<
  DelegationErrorCode,
  'ERR_DELEGATION_DENIED' | 'ERR_DELEGATION_UNAVAILABLE' | 'ERR_DELEGATION_PROTOCOL'
>

const SAYS: Readonly<Record<FailureCode, string>> = {
  ERR_DELEGATION_DENIED: 'Vault does not give the caller a credential',
  ERR_DELEGATION_UNAVAILABLE: 'Vault can not answer at the moment',
  ERR_DELEGATION_PROTOCOL: 'Vault does not answer as it should: an operator must look at its configuration',
}

/** Request timeout, a node that lags behind, too many requests, and two kinds of nodes that serve none. */
const PASSING: readonly number[] = [408, 412, 429, 472, 473]

function codeOf({ kind, status = 0 }: VaultError): FailureCode {
  if (kind === 'malformed') return 'ERR_DELEGATION_PROTOCOL'
  if (kind !== 'status' || status >= 500 || PASSING.includes(status)) return 'ERR_DELEGATION_UNAVAILABLE'
  // What is not there is refused: whether that means that the user has none, only a source knows.
  return status === 403 || status === 404 ? 'ERR_DELEGATION_DENIED' : 'ERR_DELEGATION_PROTOCOL'
}
