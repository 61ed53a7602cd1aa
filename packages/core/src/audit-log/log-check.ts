import type { KeyObject } from 'node:crypto'
import { openCheckpoint, type VerifiedCheckpoint } from './checkpoint.ts'
import { claimOf } from './claim.ts'
import type { Findings } from './findings.ts'
import { chainHashOfBytes, type SealedLine, sealedLineOf } from './format.ts'
import { Gaps } from './gaps.ts'
import type { HeldCheckpoints } from './held-checkpoints.ts'
import type { Line } from './lines.ts'
import type { AuditLogReport, Finding, FindingKind, Restart, SealedPoint } from './report.ts'
import { checkpointIn } from './tail.ts'
import { TornRegion } from './torn-region.ts'

const MAX_RESTARTS = 10_000

/** How far the chain goes, as far as the lines state it. */
interface Reached {
  readonly seq: number
  readonly hash: string
}

/** What is taken back where lines turn out to be the remains of a write. */
interface Counts {
  readonly reached: Reached | undefined
  readonly records: number
  readonly sinceSeal: number
  readonly unsealed: number
  readonly unwitnessed: number
  readonly gaps: Gaps
}

type FileCount = { -readonly [Name in keyof AuditLogReport['files'][number]]: AuditLogReport['files'][number][Name] }

/** Goes through a log, line by line. */
export class LogCheck {
  readonly #keys: readonly KeyObject[]
  readonly #held: HeldCheckpoints
  readonly #findings: Findings
  readonly #files: FileCount[] = []
  readonly #restarts: Restart[] = []
  #file: FileCount = { path: '', bytes: 0, lines: 0, firstSeq: undefined, lastSeq: undefined }
  #gaps = new Gaps()
  /** The line with the highest number, and the one that was read last. */
  #reached: Reached | undefined
  #previous: Reached | undefined
  /** The state after the last line that continued the chain, while what follows it is in doubt. */
  #before: Counts | undefined
  #torn: TornRegion | undefined
  #first: { readonly seq: number; readonly file: string; readonly begins: boolean } | undefined
  #log: string | undefined
  #keptFrom = 1
  #limit = Number.POSITIVE_INFINITY
  #sinceSeal = 0
  #records = 0
  #checkpoints = 0
  #unsealed = 0
  #unwitnessed = 0
  #sealed: SealedPoint | undefined
  #witnessed: SealedPoint | undefined
  /** The number of the next line that a checkpoint held elsewhere covers. */
  #heldSeq: number | undefined

  constructor(keys: readonly KeyObject[], held: HeldCheckpoints, findings: Findings) {
    this.#keys = keys
    this.#held = held
    this.#findings = findings
  }

  beginFile(path: string): void {
    this.#file = { path, bytes: 0, lines: 0, firstSeq: undefined, lastSeq: undefined }
    this.#files.push(this.#file)
  }

  unreadable(code: string): void {
    this.#find('unreadable', undefined, `the file can't be read to its end: ${code}`)
  }

  endFile(): void {
    if (this.#file.lines === 0 && this.#files.length > 1) this.#previous = undefined
  }

  /** Checks the next line. Returns a promise only where it must be waited for. */
  line(line: Line): void | Promise<void> {
    this.#file.lines = line.number
    this.#file.bytes = line.end
    const sealed = line.complete && !line.piece ? sealedLineOf(line.bytes) : undefined
    if (sealed === undefined) return this.#malformed(line)
    this.#file.firstSeq ??= sealed.seq
    this.#file.lastSeq = sealed.seq
    if (sealed.kind === 'seal') return this.#seal(line, sealed)
    this.#place(line, sealed, undefined)
    return this.#counted(sealed, true)
  }

  #malformed(line: Line): undefined {
    this.#doubt(line)
    if (line.more) return
    if (line.complete) this.#blame('changed', undefined, 'this is no line of a sealed log')
    else this.#blame('torn', undefined, 'the last line of the file is incomplete')
  }

  /** Checks where the line stands, and that it continues the chain. */
  #place(line: Line, sealed: SealedLine, checkpoint: VerifiedCheckpoint | undefined): undefined {
    const { seq, hash } = sealed
    const reached = this.#reached
    const previous = this.#previous
    this.#previous = { seq, hash }
    if (reached === undefined) return this.#placeFirst(line, sealed, checkpoint)
    const linked = previous !== undefined && chainHashOfBytes(previous.hash, sealed.body) === hash
    if (linked && seq !== reached.seq + 1 && previous.seq === reached.seq && previous.seq !== seq - 1) {
      // The line before was the one whose number was changed.
      this.#gaps.takeBack(reached.seq)
      this.#doubt(line)
      this.#blame('changed', seq - 1, 'the number of the line before this one was changed')
      this.#reached = { seq, hash }
      return this.#settle()
    }
    if (seq === reached.seq + 1) {
      const good = previous === reached ? linked : chainHashOfBytes(reached.hash, sealed.body) === hash
      this.#reached = this.#previous
      if (good) return this.#settle()
      this.#doubt(line)
      return this.#blame('changed', seq, 'the line is not the one that was written')
    }
    this.#doubt(line)
    if (seq > reached.seq + 1) {
      const gap = { from: reached.seq + 1, to: seq - 1, before: reached.hash, file: this.#file.path, line: line.number }
      if (!this.#gaps.add(gap)) this.#blame('removed', gap.from, `lines up to ${gap.to} are not there`)
      this.#reached = this.#previous
      return
    }
    const gap = this.#gaps.fill(seq, hash)
    if (gap === undefined) return this.#blame('inserted', seq, 'a line with this number came before')
    this.#blame('reordered', seq, 'the line belongs before others that come earlier in the file')
    if (gap.from === seq && gap.before !== undefined && chainHashOfBytes(gap.before, sealed.body) !== hash)
      this.#blame('changed', seq, 'the line is not the one that was written')
  }

  #placeFirst(line: Line, sealed: SealedLine, checkpoint: VerifiedCheckpoint | undefined): undefined {
    const { seq, body, hash } = sealed
    const begins = checkpoint !== undefined && checkpoint.seq === seq - 1
    this.#first = { seq, file: this.#file.path, begins }
    this.#reached = { seq, hash }
    if (begins && chainHashOfBytes(checkpoint.hash, body) === hash) {
      if (this.#torn === undefined) this.#settle()
      return
    }
    this.#doubt(line)
    this.#blame('changed', seq, 'the log does not begin with a line that can be verified')
  }

  async #seal(line: Line, sealed: SealedLine): Promise<void> {
    const { seq } = sealed
    const jws = checkpointIn(sealed)
    const checkpoint = jws === undefined ? undefined : await openCheckpoint(jws, this.#keys)
    const tornBytes = this.#explained(sealed, checkpoint)
    const covered = this.#reached
    const unsealed = this.#sinceSeal
    this.#place(line, sealed, checkpoint)
    const restarted = checkpoint?.opens === true && seq > 1
    if (restarted && (line.number > 1 || unsealed > 0 || tornBytes > 0) && this.#restarts.length < MAX_RESTARTS)
      this.#restarts.push({ file: this.#file.path, line: line.number, seq, unsealed, tornBytes })
    if (checkpoint === undefined) this.#find('forged checkpoint', seq, 'it is not signed by any of the keys')
    else this.#judge(seq, checkpoint, covered)
    await this.#counted(sealed, false)
  }

  /** How many bytes before the line are the remains of a write that it records. */
  #explained({ seq, body, hash }: SealedLine, checkpoint: VerifiedCheckpoint | undefined): number {
    if (this.#torn === undefined || this.#before === undefined || checkpoint === undefined) return 0
    const { reached } = this.#before
    if (checkpoint.seq !== seq - 1 || chainHashOfBytes(checkpoint.hash, body) !== hash) return 0
    if (reached !== undefined && (reached.seq !== seq - 1 || reached.hash !== checkpoint.hash)) return 0
    const bytes = this.#torn.explainedBy(checkpoint.torn)
    if (bytes === undefined) return 0
    const { records, sinceSeal, unsealed, unwitnessed, gaps } = this.#before
    this.#reached = reached
    this.#previous = reached
    this.#records = records
    this.#sinceSeal = sinceSeal
    this.#unsealed = unsealed
    this.#unwitnessed = unwitnessed
    this.#gaps = gaps
    this.#torn = undefined
    this.#before = undefined
    return bytes
  }

  /** Judges a checkpoint with a valid signature by the lines before it. */
  #judge(seq: number, checkpoint: VerifiedCheckpoint, covered: Reached | undefined): undefined {
    this.#log ??= checkpoint.log
    if (checkpoint.log !== this.#log) return this.#find('foreign log', seq, 'it was signed for another log')
    if (checkpoint.seq !== seq - 1) return this.#find('forged checkpoint', seq, 'it was signed for another place')
    if (covered?.seq === checkpoint.seq && covered.hash !== checkpoint.hash) {
      const from = (this.#sealed?.seq ?? 0) + 1
      return this.#find('changed', from, `the lines up to ${checkpoint.seq} are not those that were sealed`)
    }
    this.#checkpoints++
    this.#keptFrom = Math.max(this.#keptFrom, checkpoint.from)
    this.#limit = checkpoint.records
    this.#sinceSeal = 0
    this.#unsealed = 0
    this.#sealed = pointOf(checkpoint)
  }

  #counted({ seq, hash }: SealedLine, isRecord: boolean): void | Promise<void> {
    if (isRecord) {
      this.#records++
      this.#unsealed++
      this.#unwitnessed++
      this.#sinceSeal++
      if (this.#sinceSeal === this.#limit + 1)
        this.#find('missing checkpoint', seq, `there are more than ${this.#limit} lines without a checkpoint`)
    }
    // A line in doubt must not use up what is held: it may have any number.
    if (!this.#held.given || this.#torn !== undefined) return undefined
    return this.#heldSeq !== undefined && this.#heldSeq > seq ? undefined : this.#compare(seq, hash)
  }

  /** Compares the line with the checkpoints that are held elsewhere. */
  async #compare(seq: number, hash: string): Promise<void> {
    for (let held = await this.#held.peek(); held !== undefined; held = await this.#held.peek()) {
      this.#heldSeq = held.seq
      const foreign = this.#log !== undefined && held.log !== this.#log
      if (!foreign && held.seq > seq) return
      this.#held.take()
      if (foreign) {
        const message = 'a checkpoint that is held elsewhere is of another log'
        this.#findings.add({ kind: 'foreign log', file: 'checkpoints', line: held.line, seq: held.seq, message })
        continue
      }
      this.#keptFrom = Math.max(this.#keptFrom, held.from)
      if (held.seq !== seq) continue
      if (held.hash === hash && this.#reached?.seq === seq) {
        this.#witnessed = pointOf(held)
        this.#unwitnessed = 0
      } else this.#find('changed', seq, 'a checkpoint that is held elsewhere covers other lines up to here')
    }
    this.#heldSeq = Number.POSITIVE_INFINITY
  }

  /** The line continues the chain: what came before is settled. */
  #settle(): undefined {
    if (this.#torn === undefined) return
    for (const finding of this.#torn.findings) this.#findings.add(finding)
    this.#torn = undefined
    this.#before = undefined
  }

  #doubt(line: Line): void {
    if (this.#torn === undefined) {
      this.#torn = new TornRegion()
      this.#before = {
        ...{ reached: this.#reached, records: this.#records, sinceSeal: this.#sinceSeal },
        ...{ unsealed: this.#unsealed, unwitnessed: this.#unwitnessed, gaps: this.#gaps.copy() },
      }
    }
    this.#torn.add(line)
  }

  #blame(kind: FindingKind, seq: number | undefined, message: string): undefined {
    const { path: file, lines: line } = this.#file
    if (this.#torn?.blame({ kind, file, line, seq, message }) !== true) this.#settle()
  }

  #find(kind: FindingKind, seq: number | undefined, message: string): undefined {
    const { path: file, lines: line } = this.#file
    this.#findings.add({ kind, file, line, seq, message })
  }

  async end(): Promise<AuditLogReport> {
    this.#settle()
    const last = this.#reached?.seq
    if (this.#reached !== undefined) await this.#compare(this.#reached.seq, this.#reached.hash)
    await this.#checkEnd(last)
    const first = this.#first
    if (first !== undefined && (first.seq > this.#keptFrom || (first.seq > 1 && !first.begins)))
      this.#findings.add(removed({ file: first.file, line: 1 }, Math.min(this.#keptFrom, first.seq - 1), first.seq - 1))
    for (const gap of this.#gaps.left) if (gap.to >= this.#keptFrom) this.#findings.add(removed(gap, gap.from, gap.to))
    const report = {
      ok: this.#findings.list.length === 0,
      findings: this.#findings.list,
      counts: this.#findings.counts,
      log: this.#log,
      files: this.#files,
      records: this.#records,
      checkpoints: this.#checkpoints,
      firstSeq: first?.seq,
      lastSeq: last,
      keptFrom: this.#keptFrom,
      restarts: this.#restarts,
      sealed: this.#sealed,
      witnessed: this.#witnessed,
      unsealed: this.#unsealed,
      unwitnessed: this.#unwitnessed,
    }
    return { ...report, claim: claimOf(report) }
  }

  /** What is held elsewhere beyond the last line tells that the log was cut. */
  async #checkEnd(last: number | undefined): Promise<void> {
    let beyond: { readonly seq: number; readonly line: number } | undefined
    if (last !== undefined && this.#witnessed?.seq === last) beyond = { seq: last, line: 0 }
    await this.#compare(last ?? -1, '')
    for (let held = await this.#held.peek(); held !== undefined; held = await this.#held.peek()) {
      beyond = held
      this.#held.take()
    }
    if (beyond === undefined) return
    const message = 'the log ends before a checkpoint that is held elsewhere'
    this.#findings.add({ kind: 'truncated', file: 'checkpoints', line: beyond.line, seq: beyond.seq, message })
  }
}

function pointOf({ seq, at, keyId }: VerifiedCheckpoint): SealedPoint {
  return { seq, at: new Date(at), keyId }
}

function removed({ file, line }: { readonly file: string; readonly line: number }, from: number, to: number): Finding {
  const message = from === to ? 'the line is not there' : `the lines up to ${to} are not there`
  return { kind: 'removed', file, line, seq: from, message }
}
