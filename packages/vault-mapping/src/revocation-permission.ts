import type { Secret } from '@mcp-delegation/core'
import type { VaultClient } from './vault-client.ts'

/** Where leases are revoked. */
export const REVOKE = 'sys/leases/revoke'

const ENOUGH: readonly unknown[] = ['update', 'root']

/** Whether the tokens of one login may revoke leases: all have the same policies for that. */
export interface RevocationPermission {
  /** Asked of Vault once; yes, where it can't say. */
  ask(token: Secret<string>): Promise<boolean>
  /** Vault has refused it. */
  deny(): void
}

export function revocationPermission(client: VaultClient, signal: AbortSignal): RevocationPermission {
  let known: boolean | undefined
  let asking: Promise<boolean> | undefined
  const find = async (token: Secret<string>): Promise<boolean> => {
    try {
      known ??= await mayRevokeLeases(client, token, signal)
      return known
    } catch {
      return true
    } finally {
      asking = undefined
    }
  }
  return {
    ask(token) {
      if (known !== undefined) return Promise.resolve(known)
      asking ??= find(token)
      return asking
    },
    deny() {
      known = false
    },
  }
}

/** Asks Vault what the policies of a token allow. Rejects with a `VaultError`. */
export async function mayRevokeLeases(
  client: VaultClient,
  token: Secret<string>,
  signal: AbortSignal,
): Promise<boolean> {
  const body = { paths: [REVOKE] }
  const request = { method: 'POST', path: 'sys/capabilities-self', body, token, retry: true } as const
  const capabilities = (await client.request(request, { signal })).data?.[REVOKE]
  return Array.isArray(capabilities) && ENOUGH.some((one) => capabilities.includes(one))
}
