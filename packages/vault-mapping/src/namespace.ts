import { randomBytes } from 'node:crypto'
import { DelegationError } from '@mcp-delegation/core'
import { failureOf } from './failure.ts'
import { unlessAborted } from './unless-aborted.ts'
import type { VaultClient } from './vault-client.ts'
import { VaultError } from './vault-error.ts'

/** Rejects where the server must not be sent a login: with a `DelegationError`, or with the signal's reason. */
export type NamespaceProof = (signal: AbortSignal) => Promise<void>

/** Answered without a token, in every namespace that there is. */
const PATH = 'sys/internal/ui/mounts'

/**
 * How to prove that the server heeds namespaces: older ones ignore the header silently, and would log callers in at another
 * tenant's mounts. It must know `namespace`, and not one that can't exist. Proven once; asked again after a failure. A
 * server that fails the proof is `ERR_DELEGATION_PROTOCOL`, one that can't answer `ERR_DELEGATION_UNAVAILABLE`.
 */
export function namespaceProof(client: VaultClient, namespace: string | undefined): NamespaceProof {
  if (namespace === undefined) return () => Promise.resolve()
  let isProven = false
  let proving: Promise<void> | undefined
  const prove = async (): Promise<void> => {
    // Nobody waits alone: it goes on without those who are gone, and ends by itself.
    const { signal } = new AbortController()
    if (!(await isRefused(client, unknownNamespace(), signal)))
      throw new DelegationError(
        'ERR_DELEGATION_PROTOCOL',
        'the server ignores namespaces: it answers in one that does not exist',
      )
    if (await isRefused(client, namespace, signal))
      throw new DelegationError('ERR_DELEGATION_PROTOCOL', 'the server does not know the namespace of the options')
    isProven = true
  }
  return async (signal) => {
    signal.throwIfAborted()
    if (isProven) return
    proving ??= prove().finally(() => {
      proving = undefined
    })
    await unlessAborted(proving, signal)
  }
}

function unknownNamespace(): string {
  return `unknown-${randomBytes(16).toString('hex')}`
}

async function isRefused(client: VaultClient, namespace: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.request({ method: 'GET', path: PATH, namespace, retry: true }, { signal })
    return false
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    if (error.status === 403 || error.status === 404) return true
    throw failureOf(error, {})
  }
}
