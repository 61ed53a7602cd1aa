import type { DelegationErrorCode } from './errors.ts'
import { printable } from './text.ts'

/** Resolves when the record is accepted; where it throws or rejects, no credential is handed out. */
export type AuditSink = (record: AuditRecord) => void | Promise<void>

/** One union on `event`. Strings are bounded, and control and bidirectional characters in them are escaped. */
export type AuditRecord =
  | DelegationRecord
  | ExportRecord
  | ToolRecord
  | ResourceRecord
  | PromptRecord
  | AuthenticationRecord
  | OtherRecord

/** What every record says. Who is undefined where nobody was verified. */
export interface AuditFields {
  readonly at: Date
  readonly sessionId: string | undefined
  readonly issuer: string | undefined
  readonly subject: string | undefined
  readonly clientId: string | undefined
  readonly act: readonly string[]
  readonly durationMs: number
  readonly code: DelegationErrorCode | undefined
  /** Why, in words that are safe to show; undefined where nothing was refused and nothing failed. */
  readonly reason: string | undefined
  readonly traceId: string | undefined
  /** How many refusals this record stands for, where a sink wrote repeated ones as one: from `since` until `at`. */
  readonly count?: number | undefined
  /** When the first of `count` refusals was. */
  readonly since?: Date | undefined
}

/** Exactly one per call of `delegate`, and one per refresh. */
export interface DelegationRecord extends AuditFields {
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

/** A copy of a credential that left the process, as a file that other programs read. */
export interface ExportRecord extends AuditFields {
  readonly event: 'export'
  readonly outcome: 'exported' | 'refused'
  readonly tool: string | undefined
  /** The name under which the module is registered. */
  readonly module: string
  /** The `type` of the module. */
  readonly type: string | undefined
  readonly target: string | undefined
  /** Whom the backend sees. */
  readonly principal: string | undefined
}

/** One per tool call, from the adapter's guard. */
export interface ToolRecord extends AuditFields {
  readonly event: 'tool'
  readonly outcome: 'ok' | 'denied' | 'failed'
  readonly tool: string
  readonly groups: readonly string[]
  /** Only the arguments that are listed to be audited. */
  readonly arguments: Readonly<Record<string, unknown>>
}

/** One per reading of a resource, from the adapter's guard. */
export interface ResourceRecord extends AuditFields {
  readonly event: 'resource'
  readonly outcome: 'ok' | 'denied' | 'failed'
  /** The name under which it is registered. */
  readonly resource: string
  readonly uri: string
  readonly groups: readonly string[]
}

/** One per use of a prompt, from the adapter's guard. */
export interface PromptRecord extends AuditFields {
  readonly event: 'prompt'
  readonly outcome: 'ok' | 'denied' | 'failed'
  readonly prompt: string
  readonly groups: readonly string[]
  /** Only the arguments that are listed to be audited. */
  readonly arguments: Readonly<Record<string, unknown>>
}

/** A token that was refused. A request without a token is not recorded. */
export interface AuthenticationRecord extends AuditFields {
  readonly event: 'authentication'
  readonly outcome: 'refused'
}

/** An administrator's act. */
export interface OtherRecord extends AuditFields {
  readonly event: 'block' | 'unblock' | 'end-session'
  /** How many cached credentials it ended. */
  readonly credentials: number
  /** The login session that was ended, where that was asked for. */
  readonly sid: string | undefined
}

/** Lengths beyond which a field is cut, in UTF-16 code units. */
const MAX_FIELD = 1024
const MAX_LIST = 100
const MAX_DEPTH = 4

/** A copy of `record` with every string bounded and escaped; what is not plain data is named by its type. */
export function cleanRecord<Cleaned extends AuditRecord>(record: Cleaned): Cleaned {
  const cleaned: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(record)) cleaned[name] = clean(value, 0)
  return cleaned as unknown as Cleaned
}

function clean(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return printable(value, MAX_FIELD)
    case 'number':
    case 'boolean':
    case 'undefined':
      return value
    case 'object':
      if (value === null || value instanceof Date) return value
      if (depth === MAX_DEPTH) return '[too deep]'
      if (Array.isArray(value)) return value.slice(0, MAX_LIST).map((member) => clean(member, depth + 1))
      return cleanObject(value, depth)
    default:
      return `[${typeof value}]`
  }
}

function cleanObject(object: object, depth: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null) return '[object]'
  const members = Object.entries(object).slice(0, MAX_LIST)
  return Object.fromEntries(members.map(([name, member]) => [printable(name, 255), clean(member, depth + 1)]))
}

/**
 * Hands each record to a pino logger at level `info`. Best effort: `info()` returns before anything is written, and a
 * full disk shows only as an `error` event of pino's destination. Use {@link fileAudit} where no audit must mean no
 * credential; a synchronous destination that is yours alone comes close.
 * @throws TypeError unless `logger` has an `info` method.
 */
export function pinoAudit(logger: { info(record: object, message?: string): void }): AuditSink {
  if (typeof logger?.info !== 'function') throw new TypeError('"logger" must have an info method')
  return (record) => logger.info(record, `audit: ${record.event}`)
}
