import {
  DelegationError,
  isDelegationError,
  type KerberosContext,
  type KerberosCredential,
  type KerberosMessageOptions,
  type Loan,
} from '@mcp-delegation/core'
import { type EngineContext, EngineError, type Ticket } from './engine/engine.ts'
import type { ExportedCache } from './exported-caches.ts'
import { ExportedCaches } from './exported-caches.ts'
import { wrapToken } from './spnego.ts'

/** What the credentials of one module have in common. */
export interface CredentialSurroundings {
  /** Whether caches of `spn` may be exported. */
  mayExport(spn: string): boolean
  /** A failure of the engine as the framework's error. */
  failure(error: EngineError): DelegationError
}

const MAX_BINDINGS = 65_536

/** A ticket as the credential that tools use, and everything that was made of it. */
export class TicketCredential {
  readonly #ticket: Ticket
  readonly #spn: string | undefined
  readonly #service: string
  readonly #surroundings: CredentialSurroundings
  readonly #contexts = new Set<EngineContext>()
  readonly #exports: ExportedCaches

  /** `spn` without realm, or undefined for an identity without a ticket; `service` with it. */
  constructor(ticket: Ticket, spn: string | undefined, service: string, surroundings: CredentialSurroundings) {
    this.#ticket = ticket
    this.#spn = spn
    this.#service = service
    this.#surroundings = surroundings
    this.#exports = new ExportedCaches(ticket)
  }

  get usable(): boolean {
    return this.#ticket.usable
  }

  /** The value of one lease, or without `loan` one that belongs to none and can't be exported. */
  value(loan?: Loan): KerberosCredential {
    const { facts } = this.#ticket
    const { client, account, sid, groups, forwardable } = facts
    return Object.freeze({
      kind: 'kerberos' as const,
      client,
      service: this.#service,
      sid,
      identity: Object.freeze({ principal: client, account, sid, groups: Object.freeze([...groups]), forwardable }),
      negotiate: async (options: Parameters<KerberosCredential['negotiate']>[0] = {}) => {
        this.#spnOf(loan)
        const bindings = checkBindings(options?.channelBindings)
        const token = await this.#ask(() => this.#ticket.token(bindings))
        checkLoan(loan)
        return `Negotiate ${Buffer.from(wrapToken(token)).toString('base64')}`
      },
      context: (options: Parameters<KerberosCredential['context']>[0] = {}) => this.#context(options, loan),
      exportCredentialCache: () => this.#export(loan),
    })
  }

  /** Ends the ticket and everything that was made of it. */
  async release(): Promise<void> {
    const contexts = [...this.#contexts]
    this.#contexts.clear()
    try {
      await Promise.all([...contexts.map((context) => context.close().catch(() => {})), this.#exports.removeAll()])
    } finally {
      await this.#ticket.release()
    }
  }

  async #context(
    options: NonNullable<Parameters<KerberosCredential['context']>[0]>,
    loan: Loan | undefined,
  ): Promise<KerberosContext> {
    this.#spnOf(loan)
    const { security, channelBindings } = options ?? {}
    if (security !== undefined && security !== 'integrity' && security !== 'confidentiality')
      throw invalid("\"security\" must be 'integrity' or 'confidentiality'")
    const bindings = checkBindings(channelBindings)
    const context = await this.#ask(() => this.#ticket.context({ security }, bindings))
    this.#contexts.add(context)
    let first: Uint8Array | undefined = context.token
    const end = async (): Promise<void> => {
      loan?.signal.removeEventListener('abort', leave)
      if (this.#contexts.delete(context)) await context.close().catch(() => {})
    }
    const leave = (): void => void end()
    loan?.signal.addEventListener('abort', leave, { once: true })
    if (loan?.signal.aborted === true) leave()
    const check = (): void => {
      checkLoan(loan)
      if (!this.#contexts.has(context)) throw invalid('the context has ended')
    }
    const live = async <T>(work: () => Promise<T>): Promise<T> => {
      check()
      const result = await this.#ask(work)
      check()
      return result
    }
    const message = (data: unknown): Uint8Array => {
      if (data instanceof Uint8Array) return data
      throw invalid('a message must be a Uint8Array')
    }
    return Object.freeze({
      get done() {
        return first === undefined && context.done
      },
      step: (reply?: Uint8Array) =>
        live(async () => {
          if (first !== undefined) {
            if (reply !== undefined && message(reply).length > 0)
              throw invalid('the first step takes no reply: it gives the first token')
            const token = first
            first = undefined
            return token
          }
          return await context.step(message(reply))
        }),
      wrap: (data: Uint8Array, how?: KerberosMessageOptions) =>
        live(async () => await context.wrap(message(data), isEncrypted(how, security))),
      unwrap: (data: Uint8Array, how?: KerberosMessageOptions) =>
        live(async () => await context.unwrap(message(data), isEncrypted(how, security))),
      [Symbol.asyncDispose]: end,
    })
  }

  async #export(loan: Loan | undefined): Promise<ExportedCache> {
    const refusal = this.#surroundings.mayExport(this.#spnOf(loan))
      ? undefined
      : new DelegationError('ERR_DELEGATION_DENIED', 'the tickets for this target may not be exported')
    if (refusal !== undefined) {
      await loan?.recordExport(refusal)
      throw refusal
    }
    if (loan === undefined) throw invalid('only a lease can export its ticket')
    await loan.recordExport()
    checkLoan(loan)
    try {
      return await this.#ask(() => this.#exports.write(loan.signal))
    } catch (error) {
      checkLoan(loan)
      throw error
    }
  }

  /** @throws DelegationError where there is no ticket, or no lease on it any more. */
  #spnOf(loan: Loan | undefined): string {
    checkLoan(loan)
    if (this.#spn !== undefined) return this.#spn
    throw invalid('only the identity was asked for (s4u2self): there is no ticket')
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw error instanceof EngineError ? this.#surroundings.failure(error) : error
    }
  }
}

function checkLoan(loan: Loan | undefined): void {
  if (loan?.signal.aborted !== true) return
  const { reason } = loan.signal
  if (isDelegationError(reason)) throw reason
  throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the lease on this ticket has ended')
}

/** Whether a message of a context with `offered` is encrypted. */
function isEncrypted(how: KerberosMessageOptions | undefined, offered: KerberosMessageOptions['security']): boolean {
  const { security = offered } = how ?? {}
  if (security === 'integrity' || security === undefined) return false
  if (security !== 'confidentiality') throw invalid("\"security\" must be 'integrity' or 'confidentiality'")
  if (offered !== 'confidentiality') throw invalid('the context does not encrypt')
  return true
}

function checkBindings(bindings: unknown): Uint8Array | undefined {
  if (bindings === undefined) return undefined
  if (bindings instanceof Uint8Array && bindings.length > 0 && bindings.length <= MAX_BINDINGS) return bindings
  throw invalid('"channelBindings" must be a Uint8Array; "channelBindingsOf" makes it')
}

function invalid(message: string): DelegationError {
  return new DelegationError('ERR_DELEGATION_INVALID_REQUEST', message)
}
