import { DelegationError } from '@mcp-delegation/core'
import type { VaultAuth, VaultEnvelope } from '../envelope.ts'
import { VaultError } from '../vault-error.ts'

/**
 * The token that a login gave.
 * @throws DelegationError `ERR_DELEGATION_PROTOCOL` where it is none to work with.
 */
export function tokenOf({ auth }: Pick<VaultEnvelope, 'auth'>): VaultAuth {
  if (auth === undefined) throw wrong('Vault answered the login without a token')
  if (auth.uses !== 0) throw wrong('the Vault token may be used a limited number of times only')
  // What can do everything would make every mistake count.
  if (auth.policies.includes('root')) throw wrong('the Vault token has the policy "root"')
  return auth
}

/** Sends a login of this server; what Vault refuses is `ERR_DELEGATION_PROTOCOL`, since no caller can help it. */
export async function logInAsSelf(login: () => Promise<VaultEnvelope>): Promise<VaultAuth> {
  try {
    return tokenOf(await login())
  } catch (error) {
    throw isRefusal(error) ? wrong('Vault refuses the login of this server', error) : error
  }
}

/** Whether Vault said no to a login: 403 and 404 also where there is no such auth method. */
export function isRefusal(error: unknown): error is VaultError {
  return error instanceof VaultError && [400, 403, 404].includes(error.status ?? 0)
}

function wrong(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_PROTOCOL', message, { cause })
}
