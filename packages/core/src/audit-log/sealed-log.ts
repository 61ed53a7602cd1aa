import { createHash, type KeyObject, randomUUID } from 'node:crypto'
import { AppendFile } from './append-file.ts'
import { type CheckpointClaims, type SealingKey, signCheckpoint, type TornBytes } from './checkpoint.ts'
import { bodyOf, chainHash, GENESIS, lineOf, sealedLineOf } from './format.ts'
import { MAX_LINE } from './lines.ts'
import type { LogWriter } from './plain-log.ts'
import { type RotatedFile, rotatedFiles } from './rotated-files.ts'
import { deleteFiles, isDue, type LogContext, rotateAway, surplus } from './rotation.ts'
import { readHead, readTail, type TornFile } from './tail.ts'
import type { Witness } from './witness.ts'

/** How a log is sealed. */
export interface Sealing {
  readonly key: SealingKey
  /** Public keys that may have sealed what is there. */
  readonly keys: readonly KeyObject[]
  /** How many lines may stand without a checkpoint. */
  readonly records: number
  readonly witness: Witness | undefined
}

/** Where the chain is. */
interface Chain {
  readonly log: string
  /** The number and the hash of the last line. */
  readonly seq: number
  readonly hash: string
  /** Lines before this one may have been deleted. */
  readonly from: number
  /** Which file of the log is being written, from 1. */
  readonly file: number
}

/** What a sealed line takes besides the record. */
const SEAL_LENGTH = 76
/** What a checkpoint takes; a bound. */
const CHECKPOINT_LENGTH = 1024
const NOTHING: Buffer = Buffer.alloc(0)
const EMPTY: TornFile = { head: undefined, torn: NOTHING }

/** The longest record that fits into a line. */
export const MAX_RECORD: number = MAX_LINE - SEAL_LENGTH

/** A log whose lines are chained by hashes, and whose chain is signed now and then. This is its only writer. */
export class SealedLog implements LogWriter {
  readonly #context: LogContext
  readonly #sealing: Sealing
  /** Undefined until the log was read, and after a write whose remains could not be taken back. */
  #chain: Chain | undefined
  #file: AppendFile | undefined
  /** How many lines follow the last checkpoint. */
  #unsealed = 0
  /** Whether the next line is the first one of a file, or of this writer. */
  #opening = true
  /** What an incomplete write left before that line, with what is put after it in `#end`, but for the end of the line. */
  #torn: Buffer = NOTHING
  #end = ''

  constructor(context: LogContext, sealing: Sealing) {
    this.#context = context
    this.#sealing = sealing
  }

  /** Whether there are lines without a checkpoint. */
  get isUnsealed(): boolean {
    return this.#unsealed > 0
  }

  async write(records: readonly string[], bytes: number): Promise<void> {
    if (this.#sealing.witness?.isBehind === true)
      throw new Error('the witness of the audit log does not take checkpoints')
    const seals = Math.ceil(records.length / this.#sealing.records) + 1
    const more = bytes + records.length * SEAL_LENGTH + seals * CHECKPOINT_LENGTH
    if (await this.#writeOn(records, more)) return
    let { chain, file } = await this.#current()
    let old: readonly RotatedFile[] = []
    if (!this.#opening && isDue(this.#context, file, more)) {
      ;({ chain, file, old } = await this.#rotate(chain))
    }
    await this.#put(file, await this.#draft(chain, records))
    await deleteFiles(this.#context, old)
  }

  /** Writes to the file that is open, where that is as it should be. The lines are made while that is looked up. */
  async #writeOn(records: readonly string[], more: number): Promise<boolean> {
    const file = this.#file
    if (file === undefined || this.#chain === undefined || this.#opening || isDue(this.#context, file, more))
      return false
    const [standing, draft] = await Promise.all([file.standing(), this.#draft(this.#chain, records)])
    if (standing !== 'same') return false
    await this.#put(file, draft)
    return true
  }

  /** Writes a checkpoint, where there is something new. */
  async seal(): Promise<void> {
    if (!this.isUnsealed) return
    const { chain, file } = await this.#current()
    const draft = await this.#draft(chain, [])
    await draft.seal()
    await this.#put(file, draft)
  }

  async #draft(chain: Chain, records: readonly string[]): Promise<Draft> {
    const draft = new Draft(this.#context, this.#sealing, chain, this.#unsealed)
    if (this.#opening) await draft.open(this.#torn)
    for (const record of records) {
      draft.add(record)
      if (draft.unsealed >= this.#sealing.records) await draft.seal()
    }
    return draft
  }

  async #put(file: AppendFile, draft: Draft): Promise<void> {
    const bytes = Buffer.from((this.#opening ? this.#end : '') + draft.text)
    try {
      await file.append(bytes)
    } catch (error) {
      await this.#takeBack(file)
      throw error
    }
    this.#chain = draft.chain
    this.#unsealed = draft.unsealed
    this.#opening = false
    this.#torn = NOTHING
    for (const checkpoint of draft.checkpoints) this.#sealing.witness?.hand(checkpoint)
  }

  async #takeBack(file: AppendFile): Promise<void> {
    try {
      await file.restore()
    } catch {
      // What is there now shows when it is read again.
      this.#chain = undefined
      await this.close()
    }
  }

  /** The file to write to, as this writer left it. */
  async #current(): Promise<{ readonly chain: Chain; readonly file: AppendFile }> {
    if (this.#file !== undefined) {
      const standing = await this.#file.standing()
      if (standing === 'changed') throw new Error('another program has written to the audit file, or cut it')
      if (standing === 'gone') await this.close()
    }
    if (this.#file === undefined) {
      const file = await AppendFile.open(this.#context.path, this.#context.fsync)
      try {
        this.#chain = await this.#resume(file)
        this.#file = file
      } catch (error) {
        await file.close().catch(() => {})
        throw error
      }
    }
    if (this.#chain === undefined) throw new Error('the audit log was not read')
    return { chain: this.#chain, file: this.#file }
  }

  /** Where the chain goes on in a file that was just opened. */
  async #resume(file: AppendFile): Promise<Chain> {
    const { path } = this.#context
    const known = this.#chain
    const tail = file.length === 0 ? EMPTY : await readTail(path, this.#sealing.keys)
    this.#opening = true
    this.#endTorn(tail.torn)
    if (tail.head !== undefined) {
      if (known !== undefined && known.hash !== tail.hash)
        throw new Error('another audit log has been put into the place of this one')
      const { log, from, file: number } = tail.head
      return { log, seq: tail.seq, hash: tail.hash, from, file: number }
    }
    if (known !== undefined) return { ...known, file: known.file + 1 }
    const last = (await rotatedFiles(path)).at(-1)
    if (last === undefined) return { log: randomUUID(), seq: 0, hash: GENESIS, from: 1, file: 1 }
    const before = await readTail(last.path, this.#sealing.keys)
    if (before.head === undefined) throw new Error('the last rotated audit file holds nothing that can be continued')
    this.#torn = Buffer.concat([before.torn, this.#torn])
    const { log, from, file: number } = before.head
    return { log, seq: before.seq, hash: before.hash, from, file: number + 1 }
  }

  /** A line that lacks nothing but its end must not become one of the log: its write was never accepted. */
  #endTorn(torn: Buffer): void {
    const isWhole = sealedLineOf(torn.subarray(torn.lastIndexOf(10) + 1)) !== undefined
    this.#torn = isWhole ? Buffer.concat([torn, Buffer.from(' ')]) : torn
    this.#end = torn.length === 0 || torn.at(-1) === 10 ? '' : isWhole ? ' \n' : '\n'
  }

  async #rotate(chain: Chain): Promise<{ chain: Chain; file: AppendFile; old: readonly RotatedFile[] }> {
    await this.seal()
    await this.close()
    await rotateAway(this.#context, chain.file)
    const { old, oldest } = await surplus(this.#context, chain.file)
    const current = await this.#current()
    if (oldest === undefined || old.length === 0) return { ...current, old: [] }
    try {
      const head = await readHead(oldest.path, this.#sealing.keys)
      if (head?.log !== chain.log || head.file !== oldest.number || head.seq >= current.chain.seq)
        throw new Error('the oldest audit file to keep is not what its name says')
      const from = Math.max(current.chain.from, head.seq + 1)
      this.#chain = { ...current.chain, from }
      return { chain: this.#chain, file: current.file, old }
    } catch (error) {
      this.#context.log.error({ err: error, path: oldest.path }, 'old audit files are not deleted')
      return { ...current, old: [] }
    }
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close().catch(() => {})
  }
}

/** Lines that are not written yet. */
class Draft {
  readonly #context: LogContext
  readonly #sealing: Sealing
  readonly #start: Chain
  #seq: number
  #hash: string
  readonly checkpoints: string[] = []
  unsealed: number
  text = ''

  constructor(context: LogContext, sealing: Sealing, chain: Chain, unsealed: number) {
    this.#context = context
    this.#sealing = sealing
    this.#start = chain
    this.#seq = chain.seq
    this.#hash = chain.hash
    this.unsealed = unsealed
  }

  get chain(): Chain {
    return { ...this.#start, seq: this.#seq, hash: this.#hash }
  }

  /** The first line of a file, or of a writer: a checkpoint, and what lies torn before it. */
  async open(torn: Buffer): Promise<void> {
    const sha256 = createHash('sha256').update(torn).digest('base64url')
    await this.#sign(true, torn.length === 0 ? undefined : { bytes: torn.length, sha256 })
  }

  async seal(): Promise<void> {
    if (this.unsealed > 0) await this.#sign(false, undefined)
  }

  add(members: string): void {
    const body = bodyOf(++this.#seq, members)
    this.#hash = chainHash(this.#hash, body)
    this.text += lineOf(body, this.#hash)
    this.unsealed++
  }

  async #sign(opens: boolean, torn: TornBytes | undefined): Promise<void> {
    const at = new Date(this.#context.clock.now()).toISOString()
    const claims: CheckpointClaims = { ...this.chain, at, records: this.#sealing.records, opens, torn }
    const jws = await signCheckpoint(this.#sealing.key, claims)
    this.add(`,${JSON.stringify({ seal: opens ? 'open' : 'checkpoint', at, jws }).slice(1, -1)}`)
    this.checkpoints.push(jws)
    this.unsealed = 0
  }
}
