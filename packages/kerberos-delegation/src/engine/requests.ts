import { isAbsolute } from 'node:path'
import { type Delegations, type Obtained, startDelegations } from './delegations.ts'
import type { ExportedFiles } from './exported-files.ts'
import type { HelperAnswers, HelperRequest } from './messages.ts'
import { StageError } from './native/stages.ts'
import { holdTicket, type NativeContext, type NativeTicket } from './native/ticket.ts'

/** An answer, and what travels beside it. */
export interface Answer {
  readonly ok: HelperAnswers[keyof HelperAnswers]
  readonly binary?: Uint8Array | undefined
}

/** Answers at once where it can: only what asks the KDC is a promise. Both fail with {@link StageError}. */
export type Requests = (request: HelperRequest, binary: Buffer) => Answer | Promise<Answer>

export interface RequestsOptions {
  readonly files: ExportedFiles
  readonly now: () => number
  readonly report: (problem: string) => void
  readonly onCrash: (error: unknown) => void
}

const DONE: Answer = { ok: {} }

export function requests({ files, ...options }: RequestsOptions): Requests {
  const tickets = new Map<number, NativeTicket>()
  const contexts = new Map<number, NativeContext>()
  const orders = new Map<number, Int32Array>()
  let delegations: Delegations | undefined
  let count = 0

  function started(): Delegations {
    if (delegations === undefined) throw new StageError({ stage: 'load', text: 'not started' })
    return delegations
  }
  function ticketOf(id: number): NativeTicket {
    const ticket = tickets.get(id)
    if (ticket === undefined) throw new StageError({ stage: 'token', text: 'there is no such ticket' })
    return ticket
  }
  function contextOf(id: number): NativeContext {
    const context = contexts.get(id)
    if (context === undefined) throw new StageError({ stage: 'context', text: 'there is no such context' })
    return context
  }

  async function obtain(order: Extract<HelperRequest, { op: 'obtain' }>): Promise<Answer> {
    const { facts, cache } = await ordered(order)
    if (order.service === undefined) return { ok: { ...facts, ticket: undefined } }
    const ticket = ++count
    tickets.set(ticket, holdTicket(cache, facts.client, order.service))
    return { ok: { ...facts, ticket } }
  }

  async function ordered(order: Extract<HelperRequest, { op: 'obtain' }>): Promise<Obtained> {
    const cancelled = new Int32Array(new SharedArrayBuffer(4))
    orders.set(order.order, cancelled)
    try {
      return await started().obtain(order, cancelled)
    } finally {
      orders.delete(order.order)
    }
  }

  return (request, binary) => {
    const bindings = binary.length > 0 ? binary : undefined
    switch (request.op) {
      case 'token':
        return { ok: {}, binary: ticketOf(request.ticket).token(bindings) }
      case 'obtain':
        return obtain(request)
      case 'cancel': {
        const cancelled = orders.get(request.order)
        if (cancelled !== undefined) Atomics.store(cancelled, 0, 1)
        return DONE
      }
      case 'context': {
        const context = ++count
        const opened = ticketOf(request.ticket).context({ security: request.security }, bindings)
        contexts.set(context, opened)
        return { ok: { context, done: opened.done }, binary: opened.token }
      }
      case 'step': {
        const context = contextOf(request.context)
        const token = context.step(binary)
        return { ok: { done: context.done }, binary: token }
      }
      case 'wrap':
        return { ok: {}, binary: contextOf(request.context).wrap(binary, request.encrypted) }
      case 'unwrap':
        return { ok: {}, binary: contextOf(request.context).unwrap(binary, request.encrypted) }
      case 'close':
        contexts.get(request.context)?.close()
        contexts.delete(request.context)
        return DONE
      case 'release':
        tickets.get(request.ticket)?.release()
        tickets.delete(request.ticket)
        return DONE
      case 'export':
        if (!isAbsolute(request.path)) throw new StageError({ stage: 'export', text: 'the path is not absolute' })
        ticketOf(request.ticket).exportTo(request.path)
        files.add(request.path)
        return DONE
      case 'remove':
        try {
          files.remove(request.path)
        } catch (cause) {
          throw new StageError({ stage: 'export', text: (cause as Error).message }, { cause })
        }
        return DONE
      case 'check':
        return started()
          .check()
          .then(() => DONE)
      case 'start':
        return startDelegations({ ...options, ...request }).then((begun) => {
          delegations = begun
          return DONE
        })
    }
  }
}
