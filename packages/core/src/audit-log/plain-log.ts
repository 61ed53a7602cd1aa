import { AppendFile, endsTorn } from './append-file.ts'
import { deleteFiles, isDue, type LogContext, rotateAway, surplus } from './rotation.ts'

/** Lines in a file, one after the other; the caller waits for each call before the next one. */
export interface LogWriter {
  /** Resolves when all of `records`, as `recordMembers` has them, are written; where it rejects, none is accepted. */
  write(records: readonly string[], bytes: number): Promise<void>
  close(): Promise<void>
}

/** A log without seals. Others may write to the file, move it or delete it. */
export class PlainLog implements LogWriter {
  readonly #context: LogContext
  #file: AppendFile | undefined
  /** Whether the file ends within a line. */
  #torn = false

  constructor(context: LogContext) {
    this.#context = context
  }

  async write(records: readonly string[], bytes: number): Promise<void> {
    let file = await this.#current()
    if (isDue(this.#context, file, bytes)) file = await this.#rotate()
    try {
      const lines = records.map((members) => `{${members.slice(1)}}\n`)
      await file.append(Buffer.from((this.#torn ? '\n' : '') + lines.join('')))
      this.#torn = false
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async #current(): Promise<AppendFile> {
    const { path, fsync } = this.#context
    if (this.#file !== undefined) {
      const standing = await this.#file.standing()
      if (standing === 'same') return this.#file
      await this.close()
    }
    this.#file = await AppendFile.open(path, fsync)
    this.#torn = this.#file.regular && (await endsTorn(path, this.#file.length))
    return this.#file
  }

  async #rotate(): Promise<AppendFile> {
    await this.close()
    await rotateAway(this.#context, 1)
    const { old } = await surplus(this.#context)
    await deleteFiles(this.#context, old)
    return this.#current()
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close().catch(() => {})
  }
}
