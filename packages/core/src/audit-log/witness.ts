import { open } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { Logger } from '../log.ts'
import { within } from '../within.ts'
import { endsTorn } from './append-file.ts'

/**
 * Takes a checkpoint, a compact JWS, to where those who can write the log can't change it. Resolves when it is there;
 * the next one follows only then. After a failure the same one comes again.
 */
export type CheckpointSink = (checkpoint: string) => void | Promise<void>

const DEADLINE = 10_000
const FIRST_RETRY = 250
const LONGEST_RETRY = 10_000

/**
 * Appends each checkpoint to the file at `path`, one a line, and takes it for held when the disk has it. Put the file
 * where those who can write the log can't: another machine's file system, or one that can only be appended to. It is
 * created with mode 0600, and opened anew for each.
 * @throws TypeError unless `path` is an absolute path.
 */
export function fileCheckpoints(path: string): CheckpointSink {
  if (typeof path !== 'string' || !isAbsolute(path)) throw new TypeError('"path" must be an absolute path')
  let busy = false
  return async (checkpoint) => {
    // Each call to a file system that hangs would hold one of the few threads that the process has for all of them.
    if (busy) throw new Error('the file does not answer since an earlier checkpoint')
    busy = true
    try {
      await appendCheckpoint(path, checkpoint)
    } finally {
      busy = false
    }
  }
}

async function appendCheckpoint(path: string, checkpoint: string): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    const { size } = await file.stat()
    try {
      await file.appendFile(`${(await endsTorn(path, size)) ? '\n' : ''}${checkpoint}\n`)
      await file.sync()
    } catch (error) {
      await file.truncate(size).catch(() => {})
      throw error
    }
  } finally {
    await file.close()
  }
}

/** Hands checkpoints to a sink, one after the other, again and again until it takes them. */
export class Witness {
  readonly #sink: CheckpointSink
  readonly #max: number
  readonly #log: Logger
  readonly #waiting: string[] = []
  #delivering: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #delay = FIRST_RETRY

  constructor(sink: CheckpointSink, max: number, log: Logger) {
    this.#sink = sink
    this.#max = max
    this.#log = log
  }

  /** Whether so many wait that no more records may be accepted. */
  get isBehind(): boolean {
    return this.#waiting.length > this.#max
  }

  hand(checkpoint: string): void {
    this.#waiting.push(checkpoint)
    if (this.#retry === undefined) this.#delivering ??= this.#deliver()
  }

  /** Tries once more to hand over what waits. */
  async end(): Promise<void> {
    await this.#delivering
    clearTimeout(this.#retry)
    if (this.#waiting.length > 0) await this.#deliver()
    clearTimeout(this.#retry)
    if (this.#waiting.length === 0) return
    this.#log.error({ checkpoints: this.#waiting.length }, 'the witness of the audit log lacks checkpoints')
  }

  async #deliver(): Promise<void> {
    await this.#deliverAll()
    this.#delivering = undefined
  }

  async #deliverAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const checkpoint = next
      try {
        await within(DEADLINE, undefined, async () => this.#sink(checkpoint))
      } catch (error) {
        const waiting = this.#waiting.length
        this.#log.warn({ err: error, waiting }, 'the witness of the audit log did not take a checkpoint')
        this.#retry = setTimeout(() => {
          this.#retry = undefined
          this.#delivering ??= this.#deliver()
        }, this.#delay).unref()
        this.#delay = Math.min(this.#delay * 2, LONGEST_RETRY)
        return
      }
      this.#delay = FIRST_RETRY
      this.#waiting.shift()
    }
  }
}
