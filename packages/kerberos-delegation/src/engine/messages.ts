import type { JudgementRules } from '../judgement.ts'

/** What the helper process is told first. */
export interface Start {
  /** The name of the service's own account, `svc-mcp@CORP.EXAMPLE`; the keytab holds its key. */
  readonly principal: string
  readonly keytabPath: string
  readonly rules: JudgementRules
  /** How many calls to the KDC run at once, those included that nobody waits for any more. */
  readonly maxConcurrent: number
}

/** Whom to impersonate, and how the KDC's answer must name them. */
export interface TicketUser {
  /** As the KDC is asked: `alice@CORP.EXAMPLE`, or for an enterprise name `jane@example.com`. */
  readonly name: string
  /** A user principal name of another suffix than the realm: asked for as NT-ENTERPRISE. */
  readonly enterprise: boolean
  /** Upper case; where an enterprise name is looked up. */
  readonly realm: string
}

/** A ticket to obtain. */
export interface TicketOrder {
  readonly user: TicketUser
  /** `HTTP/backend.corp.example@CORP.EXAMPLE`; undefined for the user's identity only (S4U2Self). */
  readonly service: string | undefined
}

/** What the helper found out about the user, from the evidence ticket's PAC and the tickets. Dates in milliseconds. */
export interface TicketFacts {
  /** The principal that the backend sees: `alice@CORP.EXAMPLE`. */
  readonly client: string
  /** The account's name as the domain spells it; undefined without a PAC. */
  readonly account: string | undefined
  readonly sid: string | undefined
  /** SIDs of all groups: of the domain, extra and resource ones. */
  readonly groups: readonly string[]
  /** Whether the evidence ticket may be used for delegation. */
  readonly forwardable: boolean
  /** When the ticket ends: the target's, or for an identity the evidence ticket. */
  readonly expiresAt: number
}

/** Options of a security context; `security` undefined: mutual authentication without a layer. */
export interface ContextOptions {
  readonly security: 'integrity' | 'confidentiality' | undefined
}

/** Requests to the helper process; binary arguments travel beside them. */
export type HelperRequest =
  | ({ readonly op: 'start' } & Start)
  /** Makes sure that there is a ticket-granting ticket of the service. */
  | { readonly op: 'check' }
  | ({ readonly op: 'obtain'; readonly order: number } & TicketOrder)
  /** Nobody waits for an order any more: the KDC is asked for nothing else on its behalf. */
  | { readonly op: 'cancel'; readonly order: number }
  /** Binary: channel bindings, or nothing. */
  | { readonly op: 'token'; readonly ticket: number }
  /** Binary: channel bindings, or nothing. */
  | ({ readonly op: 'context'; readonly ticket: number } & ContextOptions)
  /** Binary: the acceptor's token. */
  | { readonly op: 'step'; readonly context: number }
  /** Binary: the message. */
  | { readonly op: 'wrap' | 'unwrap'; readonly context: number; readonly encrypted: boolean }
  | { readonly op: 'close'; readonly context: number }
  /** Writes a credential cache file with the target's ticket alone. The path is absolute, in a private folder. */
  | { readonly op: 'export'; readonly ticket: number; readonly path: string }
  /** Removes an exported file. */
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'release'; readonly ticket: number }

/** What the helper answers to each; binary results travel beside them. */
export interface HelperAnswers {
  readonly start: Record<never, never>
  readonly check: Record<never, never>
  /** `ticket` is absent for an identity. */
  readonly obtain: TicketFacts & { readonly ticket: number | undefined }
  readonly cancel: Record<never, never>
  /** Binary: the krb5 mechanism's initial token. */
  readonly token: Record<never, never>
  /** Binary: the first token. */
  readonly context: { readonly context: number; readonly done: boolean }
  /** Binary: the next token, or nothing. */
  readonly step: { readonly done: boolean }
  /** Binary: the message. */
  readonly wrap: Record<never, never>
  /** Binary: the message. */
  readonly unwrap: Record<never, never>
  readonly close: Record<never, never>
  readonly export: Record<never, never>
  readonly remove: Record<never, never>
  readonly release: Record<never, never>
}

/** In which step something failed. */
export type Stage =
  /** Loading the native libraries. */
  | 'load'
  /** Reading the keytab. */
  | 'keytab'
  /** The service's own ticket-granting ticket (AS-REQ). */
  | 'service'
  /** S4U2Self. */
  | 'self'
  /** Opening the evidence ticket with the own keytab. */
  | 'accept'
  /** Decoding the PAC. */
  | 'pac'
  /** Judging the user. */
  | 'judge'
  /** S4U2Proxy. */
  | 'proxy'
  /** Taking the target's ticket alone. */
  | 'ticket'
  /** Making a token of a ticket. */
  | 'token'
  /** A security context after its first token. */
  | 'context'
  /** Writing an exported cache. */
  | 'export'

/** Why a user was refused before any S4U2Proxy. */
export type Refusal =
  /** There is no PAC, or it can't be decoded. */
  | 'no-pac'
  /** The PAC is about another account than the one that was asked for. */
  | 'other-account'
  /** A machine or trust account. */
  | 'machine'
  /** A privileged account or group. `sid` says which. */
  | 'privileged'
  /** `sensitive and cannot be delegated`, or in Protected Users. */
  | 'not-delegated'
  /** A SID of `deny`. `sid` says which. */
  | 'denied-sid'
  /** In none of `requireGroupSid`. */
  | 'missing-group'
  /** A disabled or locked account by its flags. */
  | 'disabled'

/** A failure as the helper reports it. Numbers are GSSAPI's; `minor` is signed. */
export interface HelperFailure {
  readonly stage: Stage
  /** What the library says, for the operator. */
  readonly text: string
  readonly major?: number | undefined
  readonly minor?: number | undefined
  readonly refusal?: Refusal | undefined
  /** The SID that decided, where one did. */
  readonly sid?: string | undefined
  /** For a refusal of the KDC at `proxy`: what the user's own evidence ticket says. */
  readonly evidence?: { readonly forwardable: boolean; readonly notDelegated: boolean } | undefined
}
