import type { DelegationErrorCode } from './errors.ts'

/** Resolves when the record is accepted; where it throws or rejects, no credential is handed out. */
export type AuditSink = (record: AuditRecord) => void | Promise<void>

/** One union on `event`. Strings are bounded, and control and bidirectional characters in them are escaped. */
export type AuditRecord = DelegationRecord | ToolRecord | AuthenticationRecord | OtherRecord

/** What every record says. Who is undefined where nobody was verified. */
export interface RecordBase {
  readonly at: Date
  readonly sessionId: string | undefined
  readonly issuer: string | undefined
  readonly subject: string | undefined
  readonly clientId: string | undefined
  readonly act: readonly string[]
  readonly durationMs: number
  readonly code: DelegationErrorCode | undefined
  readonly traceId: string | undefined
}

/** Exactly one per call of `delegate`, and one per refresh. */
export interface DelegationRecord extends RecordBase {
  readonly event: 'delegation' | 'refresh'
  readonly outcome: 'issued' | 'reused' | 'refused' | 'failed' | 'aborted'
  readonly tool: string | undefined
  /** The name under which the module is registered. */
  readonly module: string
  /** The `type` of the module that served or refused. */
  readonly type: string | undefined
  readonly target: string | undefined
  /** Whom the backend sees. */
  readonly principal: string | undefined
}

/** One per tool call, from the adapter's guard. */
export interface ToolRecord extends RecordBase {
  readonly event: 'tool'
  readonly outcome: 'ok' | 'denied' | 'failed'
  readonly tool: string
  readonly groups: readonly string[]
  /** Only the arguments that are listed to be audited. */
  readonly arguments: Readonly<Record<string, unknown>>
}

/** A token that was refused. A request without a token is not recorded. */
export interface AuthenticationRecord extends RecordBase {
  readonly event: 'authentication'
  readonly outcome: 'refused'
}

/** An administrator's act, or the export of a credential. */
export interface OtherRecord extends RecordBase {
  readonly event: 'block' | 'unblock' | 'end-session' | 'export'
  /** How many cached credentials it ended, or exported. */
  readonly credentials: number
}
