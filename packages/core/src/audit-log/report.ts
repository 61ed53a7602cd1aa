/** What is wrong with a place of a sealed log. */
export type FindingKind =
  /** A line, or what lies between two checkpoints, is not what was sealed. */
  | 'changed'
  /** Lines are not there, and no checkpoint says that their file was deleted by `keep`. */
  | 'removed'
  /** A line that was not written in this place, such as a second copy. */
  | 'inserted'
  /** A line stands in another place than the one in which it was written. */
  | 'reordered'
  /** The log ends before a checkpoint that is held elsewhere. */
  | 'truncated'
  /** A checkpoint that no given key signed, or that was signed for another place. */
  | 'forged checkpoint'
  /** More lines without a checkpoint than the writer lets pass. */
  | 'missing checkpoint'
  /** A checkpoint of another log. */
  | 'foreign log'
  /** The last line is incomplete, as after a crash or while it is being written. */
  | 'torn'
  /** A file can't be read to its end. */
  | 'unreadable'

/** One finding of {@link verifyAuditLog}. */
export interface Finding {
  readonly kind: FindingKind
  /** The file as it was given; `checkpoints` where a checkpoint that is held elsewhere is at fault. */
  readonly file: string
  /** The line in that file, from 1. */
  readonly line: number
  /** The sequence number that is concerned, the first of several; undefined where the line states none. */
  readonly seq: number | undefined
  /** In words; holds nothing of what the line says. */
  readonly message: string
}

/** A point of a log up to which a signature vouches. */
export interface SealedPoint {
  /** The sequence number of the last line that the checkpoint covers. */
  readonly seq: number
  /** When it was signed, by the clock of the writer. */
  readonly at: Date
  /** The identifier of the key, as the checkpoint states it. */
  readonly keyId: string | undefined
}

/** A start of the writer on a log that was there before. */
export interface Restart {
  readonly file: string
  readonly line: number
  readonly seq: number
  /** How many lines before it had no checkpoint yet; none after an orderly end. */
  readonly unsealed: number
  /** How many bytes before it are an incomplete write; their hash is in the log. */
  readonly tornBytes: number
}

/** What {@link verifyAuditLog} found. */
export interface AuditLogReport {
  /** Whether there are no findings. What was claimed is in `claim`. */
  readonly ok: boolean
  /** In the order in which they were found; the first 1,000. */
  readonly findings: readonly Finding[]
  /** How many findings there are of each kind, those beyond the first 1,000 included. */
  readonly counts: Readonly<Partial<Record<FindingKind, number>>>
  /** The identifier of the log; undefined where no valid checkpoint states one. */
  readonly log: string | undefined
  readonly files: readonly {
    readonly path: string
    readonly bytes: number
    readonly lines: number
    readonly firstSeq: number | undefined
    readonly lastSeq: number | undefined
  }[]
  /** How many lines are records, checkpoints aside. */
  readonly records: number
  /** How many valid checkpoints the log holds. */
  readonly checkpoints: number
  readonly firstSeq: number | undefined
  readonly lastSeq: number | undefined
  /** Lines before this sequence number were deleted by `keep`, or may be, as a valid checkpoint says; 1 where none. */
  readonly keptFrom: number
  readonly restarts: readonly Restart[]
  /** The last valid checkpoint of the log itself. */
  readonly sealed: SealedPoint | undefined
  /** The last valid checkpoint that is held elsewhere and that the log leads to. */
  readonly witnessed: SealedPoint | undefined
  /** How many records follow the last valid checkpoint of the log. */
  readonly unsealed: number
  /** How many records follow the last checkpoint that is held elsewhere; all of them where there is none. */
  readonly unwitnessed: number
  /** What may be relied on, in a sentence or two. */
  readonly claim: string
}
