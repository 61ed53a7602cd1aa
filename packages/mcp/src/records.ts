import type {
  AuditFields,
  AuthenticationRecord,
  DelegationErrorCode,
  OperationKind,
  PromptRecord,
  ResourceRecord,
  Session,
  ToolRecord,
} from '@mcp-delegation/core'

const NOBODY: readonly string[] = Object.freeze([])

/** What is known about the caller, when, and how it ended. */
export interface Event {
  readonly session: Session | undefined
  readonly now: number
  readonly durationMs: number
  readonly code: DelegationErrorCode | undefined
  /** Why, in words that are safe to show. */
  readonly reason: string | undefined
}

function fieldsOf({ session, now, durationMs, code, reason }: Event): AuditFields {
  return {
    at: new Date(now),
    sessionId: session?.id,
    issuer: session?.issuer,
    subject: session?.subject,
    clientId: session?.clientId,
    act: session?.act ?? NOBODY,
    durationMs,
    code,
    reason,
    traceId: undefined,
  }
}

/** A refusal at the gate. */
export function authenticationRecord(event: Event): AuthenticationRecord {
  return { event: 'authentication', outcome: 'refused', ...fieldsOf(event) }
}

/** What a caller uses. */
export interface Operation {
  readonly kind: OperationKind
  /** What audit and policy call it. */
  readonly name: string
  /** Of a resource: which one. */
  readonly uri?: string | undefined
}

/** A tool call, the reading of a resource, the use of a prompt, or the refusal of one. */
export function operationRecord(
  event: Event,
  { kind, name, uri = '' }: Operation,
  outcome: ToolRecord['outcome'],
  args: ToolRecord['arguments'],
): ToolRecord | ResourceRecord | PromptRecord {
  const groups = event.session === undefined ? NOBODY : [...event.session.groups]
  const common = { outcome, ...fieldsOf(event), groups }
  if (kind === 'resource') return { event: kind, ...common, resource: name, uri }
  if (kind === 'prompt') return { event: kind, ...common, prompt: name, arguments: args }
  return { event: kind, ...common, tool: name, arguments: args }
}

/** The members of `args` that may be recorded: own ones, by an allow list. */
export function auditedArguments(allowed: readonly string[] | undefined, args: unknown): ToolRecord['arguments'] {
  if (allowed === undefined || args === null || typeof args !== 'object') return {}
  return Object.fromEntries(
    allowed
      .filter((name) => Object.hasOwn(args, name))
      .map((name) => [name, copyOf((args as Readonly<Record<string, unknown>>)[name])]),
  )
}

function copyOf(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch {
    return `[${typeof value}]`
  }
}
