import { isAbsolute } from 'node:path'
import type { AuditRecord, AuditSink } from './audit.ts'
import { type LogWriter, PlainLog } from './audit-log/plain-log.ts'
import { MAX_RECORD, SealedLog } from './audit-log/sealed-log.ts'
import { Witness } from './audit-log/witness.ts'
import { type CheckedFileAudit, type CheckedSeal, checkFileAudit, type FileAuditOptions } from './file-audit-options.ts'
import { recordMembers } from './record-members.ts'
import { isRefusal, Repeats } from './repeats.ts'

/**
 * Appends each record to the file at `path`, one JSON object a line, and accepts it when the operating system has taken
 * it, or with `fsync` the disk. Records that wait are written together. A write that fails rejects every record in it,
 * so that no credential is handed out; the next record tries again. The file is created with mode 0600; when it is moved
 * or deleted, the next record goes to a new one. Repeated refusals of one user are counted and written as one, of which
 * a crash can lose the last. Dispose it after the registry.
 *
 * With `seal` the log is evident to tampering: each line has a number and a hash over the line before, and checkpoints
 * are signed, by which `verifyAuditLog` of `@mcp-delegation/core/audit` tells what was changed; see there for what is
 * claimed, and against whom. Such a log has one writer: one process, one call of this function for a path. Where another
 * one wrote to the file or cut it, nothing is accepted until the file is moved away or the process starts again.
 * @throws TypeError unless `path` is an absolute path, and naming the option that is wrong.
 */
export function fileAudit(path: string, options: FileAuditOptions = {}): AuditSink & AsyncDisposable {
  if (typeof path !== 'string' || !isAbsolute(path)) throw new TypeError('"path" must be an absolute path')
  return new FileAudit(path, checkFileAudit(options)).sink
}

/** Records that are written together. */
class Batch {
  readonly records: string[] = []
  readonly accepted: Promise<void>
  bytes = 0
  accept!: () => void
  refuse!: (error: unknown) => void

  constructor() {
    this.accepted = new Promise((accept, refuse) => {
      this.accept = accept
      this.refuse = refuse
    })
  }
}

const MAX_BATCH = 1_048_576
const LARGE = 65_536
const DONE: Promise<void> = Promise.resolve()

class FileAudit {
  readonly sink: AuditSink & AsyncDisposable
  readonly #options: CheckedFileAudit
  readonly #writer: LogWriter
  readonly #sealed: SealedLog | undefined
  readonly #witness: Witness | undefined
  readonly #repeats: Repeats | undefined
  readonly #waiting: Batch[] = []
  /** Bytes that wait, and those that are being written. */
  #queued = 0
  #writing: Promise<void> | undefined
  #sealAt: NodeJS.Timeout | undefined
  #sealDue = false
  #disposed = false

  constructor(path: string, options: CheckedFileAudit) {
    const { rotation, fsync, clock, log, seal, repeats } = options
    const context = { path, rotation, fsync, clock, log }
    this.#options = options
    this.#witness = seal?.witness && new Witness(seal.witness, seal.maxUnwitnessed, log)
    this.#sealed = seal && new SealedLog(context, { ...seal, witness: this.#witness })
    this.#writer = this.#sealed ?? new PlainLog(context)
    this.#repeats = repeats && new Repeats(repeats, (record) => void this.#addCounted(record))
    this.sink = Object.assign((record: AuditRecord) => this.#accept(record), {
      [Symbol.asyncDispose]: () => this.#dispose(),
    })
  }

  #accept(record: AuditRecord): Promise<void> {
    if (this.#disposed) return Promise.reject(new Error('the audit file is closed'))
    const refusal = isRefusal(record)
    const crowded = refusal && this.#queued * 2 > this.#options.maxQueued
    if (refusal && this.#repeats?.take(record, crowded) === true) return DONE
    if (crowded) return Promise.reject(new Error('too many audit records wait to be written'))
    return this.#add(record)
  }

  #add(record: AuditRecord): Promise<void> {
    const json = recordMembers(record)
    // Most records are far from the limits: their characters stand for their bytes.
    const bytes = json.length > LARGE ? Buffer.byteLength(json) : json.length
    if (bytes > MAX_RECORD) return Promise.reject(new Error('the audit record is too large'))
    // What was counted is in memory already; when the file is closed there is no later.
    if (this.#queued + bytes > this.#options.maxQueued && !this.#disposed)
      return Promise.reject(new Error('too many audit records wait to be written'))
    let batch = this.#waiting.at(-1)
    if (batch === undefined || batch.bytes + bytes > MAX_BATCH) {
      batch = new Batch()
      this.#waiting.push(batch)
    }
    batch.records.push(json)
    batch.bytes += bytes + 2
    this.#queued += bytes + 2
    this.#writing ??= this.#write()
    return batch.accepted
  }

  /** What can't be written now counts on. */
  async #addCounted(record: AuditRecord): Promise<void> {
    try {
      await this.#add(record)
    } catch (error) {
      if (!this.#disposed) this.#repeats?.take(record, true)
      else this.#options.log.error({ err: error, count: record.count ?? 1 }, 'refusals were not recorded')
    }
  }

  async #write(): Promise<void> {
    for (;;) {
      // Records of all who are about to go on go into one write: also of those whose last one was just accepted.
      await new Promise((resume) => process.nextTick(resume))
      if (this.#sealDue) await this.#seal()
      const batch = this.#waiting.shift()
      if (batch === undefined) break
      try {
        await this.#writer.write(batch.records, batch.bytes)
        batch.accept()
      } catch (error) {
        batch.refuse(error)
      }
      this.#queued -= batch.bytes
      if (this.#options.seal !== undefined) this.#sealLater(this.#options.seal)
    }
    this.#writing = undefined
  }

  #sealLater({ interval }: CheckedSeal): void {
    if (this.#sealAt !== undefined || this.#sealed?.isUnsealed !== true) return
    this.#sealAt = setTimeout(() => {
      this.#sealAt = undefined
      this.#sealDue = true
      this.#writing ??= this.#write()
    }, interval).unref()
  }

  async #seal(): Promise<void> {
    this.#sealDue = false
    try {
      await this.#sealed?.seal()
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the audit log could not be sealed')
      if (this.#options.seal !== undefined) this.#sealLater(this.#options.seal)
    }
  }

  async #dispose(): Promise<void> {
    const isFirst = !this.#disposed
    this.#disposed = true
    if (isFirst) this.#repeats?.flush()
    // What waits comes before the last seal, so that this covers it.
    await this.#writing
    clearTimeout(this.#sealAt)
    this.#sealDue = true
    this.#writing ??= this.#write()
    await this.#writing
    clearTimeout(this.#sealAt)
    await this.#writer.close()
    await this.#witness?.end()
  }
}
