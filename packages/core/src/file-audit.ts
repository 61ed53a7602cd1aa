import { type FileHandle, open } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { AuditRecord, AuditSink } from './audit.ts'

/**
 * Appends each record to the file at `path`, one JSON object a line, and accepts it when the operating system has taken
 * it. Records that wait are written together. A write that fails rejects every record in it, so that no credential is
 * handed out; the next record tries again. The file is created with mode 0600.
 * @throws TypeError unless `path` is an absolute path.
 */
export function fileAudit(path: string): AuditSink & AsyncDisposable {
  if (typeof path !== 'string' || !isAbsolute(path)) throw new TypeError('"path" must be an absolute path')
  return new FileAudit(path).sink
}

interface Waiting {
  readonly line: string
  accept(): void
  refuse(error: unknown): void
}

class FileAudit {
  readonly sink: AuditSink & AsyncDisposable
  readonly #path: string
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #file: FileHandle | undefined
  #disposed = false
  /** A failed write may have left part of a line. */
  #torn = false

  constructor(path: string) {
    this.#path = path
    this.sink = Object.assign((record: AuditRecord) => this.#accept(record), {
      [Symbol.asyncDispose]: () => this.#dispose(),
    })
  }

  #accept(record: AuditRecord): Promise<void> {
    if (this.#disposed) return Promise.reject(new Error('the audit file is closed'))
    const line = `${JSON.stringify(record)}\n`
    return new Promise((accept, refuse) => {
      this.#waiting.push({ line, accept, refuse })
      this.#writing ??= this.#write()
    })
  }

  async #write(): Promise<void> {
    // Records of the same turn of the event loop go into one write.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      let begun = false
      try {
        this.#file ??= await open(this.#path, 'a', 0o600)
        begun = true
        const text = batch.map(({ line }) => line).join('')
        await this.#file.appendFile(this.#torn ? `\n${text}` : text)
        this.#torn = false
        for (const { accept } of batch) accept()
      } catch (error) {
        this.#torn ||= begun
        const file = this.#file
        this.#file = undefined
        await file?.close().catch(() => {})
        for (const { refuse } of batch) refuse(error)
      }
    }
    this.#writing = undefined
  }

  async #dispose(): Promise<void> {
    this.#disposed = true
    await this.#writing
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}
