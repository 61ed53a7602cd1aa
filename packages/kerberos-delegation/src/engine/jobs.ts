import type { HelperFailure, TicketFacts } from './messages.ts'
import type { Delegation, ServiceTicket } from './native/delegation.ts'

/** What a thread is asked to do; it may ask the KDC. */
export type Job =
  | { readonly kind: 'service'; readonly as: ServiceTicket }
  | { readonly kind: 'delegation'; readonly delegation: Delegation }

/** What a thread answers. */
export type JobResult =
  | { readonly kind: 'service'; readonly seconds: number }
  | { readonly kind: 'delegation'; readonly facts: TicketFacts }
  | { readonly kind: 'failed'; readonly failure: HelperFailure }
