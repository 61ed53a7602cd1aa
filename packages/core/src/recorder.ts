import type { Span } from '@opentelemetry/api'
import { type AuditFields, type AuditRecord, type AuditSink, cleanRecord } from './audit.ts'
import type { Clock } from './clock.ts'
import { DelegationError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Session } from './session.ts'
import { activeTraceId, traceIdOf } from './telemetry.ts'

const NOBODY: readonly string[] = Object.freeze([])

/** A promise of the sink's that is waited for. */
interface Waited {
  readonly accepted: Promise<void>
  readonly answered: Promise<void>
  readonly since: number
}

/** Writes audit records: one place for what every record says and for what happens when the sink fails. */
export class Recorder {
  readonly #sink: AuditSink
  readonly #clock: Clock
  readonly #log: Logger
  readonly #deadline: number
  #waited: Waited | undefined

  constructor(sink: AuditSink, clock: Clock, log: Logger, deadline: number) {
    this.#sink = sink
    this.#clock = clock
    this.#log = log
    this.#deadline = deadline
  }

  /** What every record says. */
  base(
    who: Partial<Session> | undefined,
    span: Span | undefined,
    durationMs: number,
    error: DelegationError | undefined,
  ): AuditFields {
    return {
      at: new Date(this.#clock.now()),
      sessionId: who?.id,
      issuer: who?.issuer,
      subject: who?.subject,
      clientId: who?.clientId,
      act: who?.act ?? NOBODY,
      durationMs,
      code: error?.code,
      reason: error?.message,
      traceId: span === undefined ? undefined : traceIdOf(span),
    }
  }

  /**
   * Cleans the record, adds the trace that is active now, and hands it to the sink. Returns a promise only where the
   * sink does.
   * @throws DelegationError `ERR_AUDIT_FAILED` where the sink fails or does not answer in time.
   */
  accept(record: AuditRecord): void | Promise<void> {
    if (record === null || typeof record !== 'object') throw this.#failed(new TypeError('a record must be an object'))
    const { traceId = activeTraceId() } = record
    return this.acceptClean(cleanRecord({ ...record, traceId }))
  }

  /** As {@link accept}, for a record whose strings are known to be bounded and printable. */
  acceptClean(record: AuditRecord): void | Promise<void> {
    let accepted: void | Promise<void>
    try {
      accepted = this.#sink(Object.freeze(record))
      // Not `instanceof`: a promise may come from another realm.
      if (typeof accepted?.then !== 'function') return undefined
    } catch (cause) {
      throw this.#failed(cause)
    }
    return this.#wait(accepted)
  }

  /** Records what stands whatever the sink says: a refusal, a block. A sink that fails is logged. */
  async note(record: AuditRecord): Promise<void> {
    try {
      await this.accept(record)
    } catch (error) {
      this.#log.error({ err: error, event: record.event, code: record.code }, 'an audit record was lost')
    }
  }

  /** A sink that writes records together may answer each with the same promise: then one deadline serves them all. */
  #wait(accepted: Promise<void>): Promise<void> {
    const now = performance.now()
    const last = this.#waited
    // Whoever joins late still has most of the deadline.
    if (last?.accepted === accepted && now - last.since < this.#deadline / 10) return last.answered
    const answered = this.#answered(accepted)
    this.#waited = { accepted, answered, since: now }
    return answered
  }

  #answered(accepted: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => {
        this.#end(accepted, timer)
        reject(this.#failed(cause))
      }
      const late = `no answer within ${this.#deadline} ms`
      const timer = setTimeout(() => fail(new DOMException(late, 'TimeoutError')), this.#deadline)
      Promise.resolve(accepted).then(() => {
        this.#end(accepted, timer)
        resolve()
      }, fail)
    })
  }

  #end(accepted: Promise<void>, timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    if (this.#waited?.accepted === accepted) this.#waited = undefined
  }

  #failed(cause: unknown): DelegationError {
    return new DelegationError('ERR_AUDIT_FAILED', 'the attempt could not be recorded', { cause })
  }
}
