import { type Clock, DelegationError } from '@mcp-delegation/core'
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

/** Sends a login of this server. */
export type SelfLogin = (login: () => Promise<VaultEnvelope>, clock: Clock) => Promise<VaultAuth>

/** The first pause after a refusal and the longest, in milliseconds. */
const BACKOFF = 1_000
const MAX_BACKOFF = 15_000

/**
 * What Vault refuses is `ERR_DELEGATION_PROTOCOL`, since no caller can help it. Vault is not asked again at once: it may
 * lock out who fails too often.
 */
export function createSelfLogin(): SelfLogin {
  let refusal: { readonly backoff: number; readonly until: number; readonly cause: VaultError } | undefined
  return async (login, clock) => {
    if (refusal === undefined || clock.now() >= refusal.until) {
      try {
        const auth = tokenOf(await login())
        refusal = undefined
        return auth
      } catch (cause) {
        if (!isRefusal(cause)) throw cause
        const backoff = refusal === undefined ? BACKOFF : Math.min(refusal.backoff * 2, MAX_BACKOFF)
        refusal = { backoff, until: clock.now() + backoff, cause }
      }
    }
    throw wrong('Vault refuses the login of this server', refusal.cause)
  }
}

/** Whether Vault said no to a login: 403 and 404 also where there is no such auth method. */
export function isRefusal(error: unknown): error is VaultError {
  return error instanceof VaultError && [400, 403, 404].includes(error.status ?? 0)
}

function wrong(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_PROTOCOL', message, { cause })
}
