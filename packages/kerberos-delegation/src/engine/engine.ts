import type { Logger } from '@mcp-delegation/core'
import type { ContextOptions, HelperFailure, Start, TicketFacts, TicketOrder } from './messages.ts'

/** How the native side is run. */
export interface EngineOptions extends Start {
  /** The whole krb5.conf of the helper process. */
  readonly profile: string
  /** How long one order may take, in milliseconds. */
  readonly deadline: number
  /** How long new orders are refused at once after the KDC did not answer in time, in milliseconds. */
  readonly probeInterval: number
  readonly log: Logger
}

/** Obtains and holds tickets in a helper process. Nothing outside this folder knows how. */
export interface Engine {
  /** Rejects with {@link EngineError}; with `signal.reason` where it aborts first, and the ticket that still comes is released. */
  obtain(order: TicketOrder, options: { readonly signal: AbortSignal }): Promise<Ticket>
  /** Rejects with {@link EngineError} where the service itself has no ticket-granting ticket and gets none. */
  check(options: { readonly signal: AbortSignal }): Promise<void>
  /** Ends the helper process, and with it every ticket. */
  dispose(): Promise<void>
}

/** A ticket that the helper process holds. Every method rejects with {@link EngineError}. */
export interface Ticket {
  readonly facts: TicketFacts
  /** False once it was released, or the process that held it has gone. */
  readonly usable: boolean
  /** A new initial token of the krb5 mechanism. */
  token(channelBindings: Uint8Array | undefined): Promise<Uint8Array>
  context(options: ContextOptions, channelBindings: Uint8Array | undefined): Promise<EngineContext>
  /** Writes a credential cache with this ticket alone to `path`, mode 0600, which must not exist yet. */
  exportTo(path: string): Promise<void>
  /** Removes an exported file; harmless where there is none. Works while the ticket is usable or not. */
  remove(path: string): Promise<void>
  release(): Promise<void>
}

/** A security context in the helper process. */
export interface EngineContext {
  /** The first token. */
  readonly token: Uint8Array
  readonly done: boolean
  /** Answers with the next token, empty where there is none. */
  step(reply: Uint8Array): Promise<Uint8Array>
  wrap(message: Uint8Array, encrypted: boolean): Promise<Uint8Array>
  /** Rejects where the message had to be encrypted, and is not. */
  unwrap(message: Uint8Array, encrypted: boolean): Promise<Uint8Array>
  close(): Promise<void>
}

/** What the engine rejects with. */
export class EngineError extends Error {
  /**
   * `failed`: a step failed as `failure` says. `late`: no answer within the deadline. `open`: refused at once, since the
   * KDC did not answer lately; `retryAt` says until when. `lost`: the helper process has gone. `closed`: the engine, the
   * ticket or the context was disposed.
   */
  readonly kind: 'failed' | 'late' | 'open' | 'lost' | 'closed'
  readonly failure: HelperFailure | undefined
  /** Milliseconds since the epoch. */
  readonly retryAt: number | undefined

  constructor(
    kind: EngineError['kind'],
    message: string,
    options: ErrorOptions & {
      readonly failure?: HelperFailure | undefined
      readonly retryAt?: number | undefined
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'EngineError'
    this.kind = kind
    this.failure = options.failure
    this.retryAt = options.retryAt
  }
}
