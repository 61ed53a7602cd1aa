import type { Clock, Secret } from '@mcp-delegation/core'
import { createAttempt } from './attempt.ts'
import { createConnections } from './connections.ts'
import type { VaultEnvelope } from './envelope.ts'
import { createNodes } from './nodes.ts'
import { createPatience } from './patience.ts'
import { VaultError } from './vault-error.ts'

/** One request. */
export interface VaultRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Below `/v1/`, without a query: `secret/data/users/alice`. Checked again before it is sent. */
  readonly path: string
  /** Names and values of letters, digits and `_`: `{ version: '3' }`. */
  readonly query?: Readonly<Record<string, string>> | undefined
  readonly body?: Readonly<Record<string, unknown>> | undefined
  readonly token?: Secret<string> | undefined
  /**
   * Whether it may be sent again where the server could not answer it. For what changes nothing only: never where a lease,
   * a certificate or a token is made.
   */
  readonly retry: boolean
  /** Sent without the option's namespace: for `sys/health`, which namespaces do not have. Default: false. */
  readonly root?: boolean | undefined
  /** Sent in this namespace instead of the option's. */
  readonly namespace?: string | undefined
}

/** A certificate that this server shows to Vault, both PEM. */
export interface ClientCertificate {
  readonly certificate: string
  readonly privateKey: Secret<string>
}

/** Speaks Vault's HTTP API. It keeps no token: each request brings its own. */
export interface VaultClient {
  /**
   * Resolves with a 2xx answer; rejects with a `VaultError` for all others, within `timeout` of each try and until
   * `signal` aborts (then with its reason). A 204 resolves with an envelope without data.
   */
  request(request: VaultRequest, options: { readonly signal: AbortSignal }): Promise<VaultEnvelope>
  /** From now on, new connections show this certificate. */
  present(certificate: ClientCertificate): void
  /** Ends its connections. */
  close(): Promise<void>
}

/** What a client is made with; all checked. */
export interface VaultClientOptions {
  /** Origins, `https://vault.example.com:8200`; asked in this order, the one that answered last first. */
  readonly addresses: readonly string[]
  readonly namespace: string | undefined
  /** PEM; the authorities that Node trusts where it is absent. */
  readonly ca: string | undefined
  readonly serverName: string | undefined
  /** Of one try, in milliseconds. */
  readonly timeout: number
  /** How many connections at once, to each address. */
  readonly connections: number
  /** How often a request with `retry` is sent at most. */
  readonly tries: number
  readonly clock: Clock
}

/** Speaks to the servers at the addresses, through connections of its own. */
export function createVaultClient(options: VaultClientOptions): VaultClient {
  const connections = createConnections(options)
  const nodes = createNodes(options.addresses)
  const attempt = createAttempt(options, connections, nodes)
  return {
    async request(request, { signal }) {
      signal.throwIfAborted()
      const patience = createPatience({ ...options, nodes, retry: request.retry })
      let address = nodes.first()
      for (;;) {
        const result = await attempt(request, address, signal)
        if (!(result instanceof VaultError)) return result
        const next = await patience.next(result, address, signal)
        if (next === undefined) throw result
        address = next
      }
    },
    present: (certificate) => connections.present(certificate),
    close: () => connections.close(),
  }
}
