import type { Nodes } from './nodes.ts'
import type { VaultClientOptions } from './vault-client.ts'
import type { VaultError } from './vault-error.ts'

/** How one request goes on after a failure. */
export interface Patience {
  /**
   * The address to send it to again, after a pause where one is due; `undefined` where it has failed for good. Rejects with
   * the signal's reason.
   */
  next(error: VaultError, address: string, signal: AbortSignal): Promise<string | undefined>
}

/** What {@link createPatience} takes. */
export interface PatienceOptions extends Pick<VaultClientOptions, 'tries' | 'timeout' | 'clock'> {
  readonly nodes: Nodes
  /** Whether it may be sent again even where it may have been done. */
  readonly retry: boolean
}

/** The first pause and the longest, in milliseconds. */
const BACKOFF = 100
const MAX_BACKOFF = 2_000
/** OpenBao rounds the seconds of its Retry-After down: "0" is up to one. */
const ROUNDED = 1_000

/**
 * What may be repeated is sent up to `tries` times: to the next node at once, and after a pause where all have failed, or
 * where the server wants one. What may not goes to the next node where it has certainly not been done, once to each. A
 * server that wants a longer pause than a try may take is not waited for.
 */
export function createPatience({ tries, timeout, clock, nodes, retry }: PatienceOptions): Patience {
  let sent = 0
  let failed = 0
  let pauses = 0
  return {
    async next(error, address, signal) {
      sent++
      const isNode = isOfNode(error)
      if (isNode) failed++
      const maySend = retry ? sent < tries && (isNode || isPassing(error)) : isNode && !error.uncertain
      if (!maySend) return undefined
      if (isNode && failed < nodes.size) return nodes.after(address)
      if (!retry) return undefined
      failed = 0
      const backoff = Math.min(BACKOFF * 2 ** pauses++, MAX_BACKOFF)
      const jitter = 0.5 + Math.random() / 2
      const { retryAt } = error
      const wait = jitter * (retryAt === undefined ? backoff : ROUNDED) + Math.max(0, (retryAt ?? 0) - clock.now())
      if (wait > timeout) return undefined
      await pause(wait, signal)
      return isNode ? nodes.after(address) : address
    },
  }
}

/** Whether another node may do better. */
function isOfNode({ kind, status = 0 }: VaultError): boolean {
  return kind === 'status' ? status >= 500 || status === 472 || status === 473 : kind !== 'malformed'
}

/** Whether the same node may do better later: it lags behind, or was asked too often. */
function isPassing({ status }: VaultError): boolean {
  return status === 412 || status === 429
}

function pause(wait: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, wait)
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}
