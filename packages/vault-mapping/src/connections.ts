import { Agent, type Dispatcher } from 'undici'
import type { ClientCertificate, VaultClientOptions } from './vault-client.ts'

/** A request as it goes over the wire. */
export interface Outgoing {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** With its leading slash. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** What came back over the wire. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

/** How an exchange ended: with an answer, or with what was thrown and whether anything had been sent by then. */
export type Outcome = { readonly answer: Answer } | { readonly fault: unknown; readonly sent: boolean }

/** Connections to the servers, no more at once to each than the options say, kept for the next request. */
export interface Connections {
  /** Never rejects; where `signal` aborts, its reason is the fault. */
  exchange(origin: string, outgoing: Outgoing, signal: AbortSignal): Promise<Outcome>
  /** See `VaultClient.present`. */
  present(certificate: ClientCertificate): void
  close(): Promise<void>
}

/** The fault of an answer that is larger than any that Vault gives. */
export const TOO_LARGE: unique symbol = Symbol('answer too large')

const MAX_BYTES = 1_048_576
/** How long a connection waits for its next request, in milliseconds: less than servers and balancers wait. */
const KEEP_ALIVE = 30_000

/** Connects with an agent of its own: no proxy, no redirect and no setting of the environment has a say. */
export function createConnections(options: VaultClientOptions): Connections {
  let shown: ClientCertificate | undefined
  let agent = agentOf(options, shown)
  const closing = new Set<Promise<void>>()
  return {
    exchange: (origin, outgoing, signal) => exchange(agent, origin, outgoing, signal),
    present(certificate) {
      if (shown !== undefined && isSame(shown, certificate)) return
      shown = certificate
      const former = agent
      agent = agentOf(options, certificate)
      const closed = former.close().finally(() => closing.delete(closed))
      closing.add(closed)
    },
    async close() {
      await Promise.all([agent.close(), ...closing])
    },
  }
}

function isSame(a: ClientCertificate, b: ClientCertificate): boolean {
  return a.certificate === b.certificate && a.privateKey.reveal() === b.privateKey.reveal()
}

function agentOf(options: VaultClientOptions, shown: ClientCertificate | undefined): Agent {
  const { ca, serverName, timeout, connections } = options
  return new Agent({
    connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE,
    keepAliveMaxTimeout: KEEP_ALIVE,
    // The time of each try is measured as a whole.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      timeout,
      // Said here, it is not NODE_TLS_REJECT_UNAUTHORIZED that decides.
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.privateKey.reveal() }),
    },
  })
}

function exchange(agent: Agent, origin: string, outgoing: Outgoing, signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | undefined
    let sent = false
    let isOver = false
    let status = 0
    let headers: Answer['headers'] = {}
    const chunks: Buffer[] = []
    let size = 0

    const end = (outcome: Outcome): void => {
      isOver = true
      signal.removeEventListener('abort', stop)
      resolve(outcome)
    }
    const cancel = (fault: unknown): void => {
      if (isOver) return
      end({ fault, sent })
      controller?.abort(new Error('cancelled'))
    }
    const stop = (): void => cancel(signal.reason)

    if (signal.aborted) return end({ fault: signal.reason, sent })
    signal.addEventListener('abort', stop, { once: true })
    agent.dispatch(
      { origin, ...outgoing, body: outgoing.body ?? null },
      {
        onRequestStart(given) {
          controller = given
          // Called before the first byte is written.
          if (isOver) given.abort(new Error('cancelled'))
          else sent = true
        },
        onResponseStart(_controller, statusCode, received) {
          status = statusCode
          headers = received
        },
        onResponseData(_controller, chunk) {
          size += chunk.length
          if (size > MAX_BYTES) cancel(TOO_LARGE)
          else chunks.push(chunk)
        },
        onResponseEnd() {
          if (!isOver) end({ answer: { status, headers, body: Buffer.concat(chunks) } })
        },
        onResponseError(_controller, error) {
          if (!isOver) end({ fault: error, sent })
        },
      },
    )
  })
}
