import type { KeyObject } from 'node:crypto'
import { openCheckpoint, type VerifiedCheckpoint } from './checkpoint.ts'
import type { Findings } from './findings.ts'
import { linesOf } from './lines.ts'

/** A checkpoint that is held elsewhere, and where it stands there. */
export interface HeldCheckpoint extends VerifiedCheckpoint {
  readonly line: number
}

/** Checkpoints that are held elsewhere, one after the other, in the order of what they cover. */
export class HeldCheckpoints {
  readonly given: boolean
  readonly #texts: AsyncIterator<string | undefined, void>
  readonly #keys: readonly KeyObject[]
  readonly #findings: Findings
  #line = 0
  #latest: HeldCheckpoint | undefined
  #next: HeldCheckpoint | undefined

  constructor(source: string | readonly string[] | undefined, keys: readonly KeyObject[], findings: Findings) {
    this.given = source !== undefined
    this.#texts = typeof source === 'string' ? textsIn(source) : textsOf(source ?? [])
    this.#keys = keys
    this.#findings = findings
  }

  /** The first one that was not taken, or undefined. */
  async peek(): Promise<HeldCheckpoint | undefined> {
    while (this.#next === undefined) {
      const { done, value } = await this.#read()
      if (done === true) return undefined
      this.#line++
      if (value !== '') await this.#open(value)
    }
    return this.#next
  }

  take(): void {
    this.#next = undefined
  }

  async #read(): Promise<IteratorResult<string | undefined, void>> {
    try {
      return await this.#texts.next()
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      this.#find('unreadable', undefined, `the checkpoints that are held elsewhere can't be read: ${code}`)
      return { done: true, value: undefined }
    }
  }

  async #open(text: string | undefined): Promise<void> {
    const opened = text === undefined ? undefined : await openCheckpoint(text, this.#keys)
    if (opened === undefined)
      return this.#find('forged checkpoint', undefined, 'what is held elsewhere is not signed by any of the keys')
    const latest = this.#latest
    const next = { ...opened, line: this.#line }
    if (latest !== undefined && latest.log === next.log) {
      // A witness may have been given the same one again.
      if (next.seq === latest.seq && next.hash === latest.hash) return
      if (next.seq < latest.seq)
        return this.#find('truncated', next.seq, 'the log went on from an earlier line than one that was witnessed')
      if (next.seq === latest.seq)
        return this.#find('changed', next.seq, 'two checkpoints that are held elsewhere contradict each other')
    }
    this.#latest = next
    this.#next = next
  }

  #find(kind: 'unreadable' | 'forged checkpoint' | 'truncated' | 'changed', seq: number | undefined, message: string) {
    this.#findings.add({ kind, file: 'checkpoints', line: this.#line, seq, message })
  }
}

async function* textsIn(path: string): AsyncGenerator<string | undefined, void> {
  // The log is read to its end after this is opened: what comes later may be of lines that are not read.
  for await (const { bytes, piece } of linesOf(path, 0, false))
    yield piece ? undefined : bytes.toString('latin1').trim()
}

async function* textsOf(texts: readonly string[]): AsyncGenerator<string | undefined, void> {
  for (const text of texts) yield text.trim()
}
