import type { Span } from '@opentelemetry/api'
import type { DelegationRecord, ExportRecord } from './audit.ts'
import type { DelegationError, DelegationErrorCode } from './errors.ts'
import type { Registered } from './member.ts'
import type { Recorder } from './recorder.ts'
import type { SessionSnapshot } from './session.ts'
import { endSpan, type Measured, startSpan } from './telemetry.ts'
import { printable } from './text.ts'

/** The codes that are a refusal; the others are a failure. */
const FAILURES: ReadonlySet<DelegationErrorCode> = new Set([
  'ERR_DELEGATION_UNAVAILABLE',
  'ERR_DELEGATION_PROTOCOL',
  'ERR_AUDIT_FAILED',
])
const MAX_NAME = 128

function nameOf(name: unknown): string {
  return typeof name === 'string' ? printable(name, MAX_NAME) : `[${typeof name}]`
}

/** One attempt to obtain a credential, as far as it has come: what audit and telemetry say of it. */
export class Attempt {
  readonly event: DelegationRecord['event']
  readonly span: Span
  readonly module: string
  readonly tool: string | undefined
  readonly #startedAt = performance.now()
  #durationMs = 0
  #outcome: 'issued' | 'reused' = 'reused'
  snapshot: SessionSnapshot | undefined
  registered: Registered | undefined
  type: string | undefined
  target: string | undefined
  principal: string | undefined
  cache: Measured['cache'] = 'none'

  constructor(event: DelegationRecord['event'], module: string, tool: string | undefined) {
    this.event = event
    this.span = startSpan(event === 'refresh' ? 'refresh' : 'delegate')
    this.module = nameOf(module)
    this.tool = tool === undefined ? undefined : nameOf(tool)
  }

  /**
   * Records that a credential was obtained, before it is handed out; {@link succeeded} follows. Returns a promise only
   * where the sink does.
   * @throws DelegationError `ERR_AUDIT_FAILED`.
   */
  succeed(recorder: Recorder, outcome: 'issued' | 'reused'): void | Promise<void> {
    this.#outcome = outcome
    this.#durationMs = performance.now() - this.#startedAt
    return recorder.acceptClean(this.#record(recorder, outcome, undefined, this.#durationMs))
  }

  /** Ends telemetry for an attempt whose record was accepted. */
  succeeded(): void {
    this.#end(this.#outcome, undefined, this.#durationMs)
  }

  /** Records an abort by the caller, where `error` is undefined, or a refusal; it stands whatever the sink says. */
  async fail(recorder: Recorder, error: DelegationError | undefined): Promise<void> {
    const durationMs = performance.now() - this.#startedAt
    const outcome = error === undefined ? 'aborted' : FAILURES.has(error.code) ? 'failed' : 'refused'
    if (outcome === 'refused' && this.registered !== undefined) this.registered.counters.refusals++
    this.#end(outcome, error?.code, durationMs)
    await recorder.note(this.#record(recorder, outcome, error, durationMs))
  }

  /**
   * Records that a copy of the credential leaves the process, or with `error` that this was refused.
   * @throws DelegationError `ERR_AUDIT_FAILED`.
   */
  async recordExport(recorder: Recorder, error: DelegationError | undefined): Promise<void> {
    const { tool, module, type, target, principal } = this
    const record: ExportRecord = {
      event: 'export',
      outcome: error === undefined ? 'exported' : 'refused',
      ...recorder.base(this.snapshot?.session, this.span, 0, error),
      tool,
      module,
      type,
      target,
      principal,
    }
    await (error === undefined ? recorder.accept(record) : recorder.note(record))
  }

  /** Ends telemetry for an attempt whose record was not accepted. */
  lose(error: DelegationError): void {
    this.#end('failed', error.code, performance.now() - this.#startedAt)
  }

  #record(
    recorder: Recorder,
    outcome: DelegationRecord['outcome'],
    error: DelegationError | undefined,
    durationMs: number,
  ): DelegationRecord {
    const base = recorder.base(this.snapshot?.session, this.span, durationMs, error)
    // Field by field: every hit writes a record, and a spread costs as much as the rest of the hit.
    return {
      event: this.event,
      outcome,
      at: base.at,
      sessionId: base.sessionId,
      issuer: base.issuer,
      subject: base.subject,
      clientId: base.clientId,
      act: base.act,
      durationMs: base.durationMs,
      code: base.code,
      reason: base.reason,
      traceId: base.traceId,
      tool: this.tool,
      module: this.module,
      type: this.type,
      target: this.target,
      principal: this.principal,
    }
  }

  #end(outcome: Measured['outcome'], code: DelegationErrorCode | undefined, durationMs: number): void {
    // A name that is not registered may be anything: it is not a label.
    const module = this.registered?.name ?? 'unknown'
    endSpan(this.span, { module, type: this.type, outcome, cache: this.cache, code }, durationMs)
  }
}
