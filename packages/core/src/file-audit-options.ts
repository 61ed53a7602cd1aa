import type { KeyObject } from 'node:crypto'
import { type CheckpointKey, type SealingKey, sealingKey, verifyingKey } from './audit-log/checkpoint.ts'
import type { RotationOptions } from './audit-log/rotation.ts'
import type { CheckpointSink } from './audit-log/witness.ts'
import { checkMembers, checkMethods } from './checks.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Logger, silentLog } from './log.ts'
import { checkDuration } from './module.ts'
import { isCleanText } from './text.ts'

/** Options of `fileAudit`. */
export interface FileAuditOptions {
  /**
   * About how large a file may become, in bytes, at least 65,536: before it would grow beyond it, it is renamed to
   * `<path>.000001`, and so on. Default: it is never rotated away for its size.
   */
  readonly maxSize?: number | undefined
  /** How old a file may become, in milliseconds, before the next record goes to a new one. Default: any age. */
  readonly maxAge?: number | undefined
  /** How many rotated files are kept, at least 1; older ones are deleted. Default: all. */
  readonly keep?: number | undefined
  /** Whether a record is accepted only when the disk has it, not when the operating system has. Default: false. */
  readonly fsync?: boolean | undefined
  /**
   * How many bytes of records may wait to be written, at least 65,536; beyond it a record is refused at once. Refusals
   * of users may take half of it. Default: 16,777,216.
   */
  readonly maxQueued?: number | undefined
  /** How repeated refusals of one user become one record with a count; `false` writes each. Default: within 10 s. */
  readonly repeats?: RepeatOptions | false | undefined
  /** Makes the log evident to tampering. Default: it is not. */
  readonly seal?: SealOptions | undefined
  /** Where failures are told that no caller sees: those of the witness, of deleting. Default: silent. */
  readonly log?: Logger | undefined
  /** Default: the machine's. */
  readonly clock?: Clock | undefined
}

/** How repeated refusals become one record. */
export interface RepeatOptions {
  /**
   * For how long, in milliseconds, refusals of one user are counted after the first one of each kind, which is written
   * at once. Default: 10,000.
   */
  readonly window?: number | undefined
  /** How many kinds of refusal of one user are told apart in that time. Default: 16. */
  readonly kinds?: number | undefined
  /** How many users are told apart in that time. Default: 10,000. */
  readonly users?: number | undefined
}

/** How a log is made evident to tampering. */
export interface SealOptions {
  /**
   * The private key that signs checkpoints, Ed25519 or P-256: a KeyObject, a CryptoKey that can be converted to one, a
   * JWK or PEM. Who has it can write a log that verifies; keep it from those who can write the file.
   */
  readonly key: CheckpointKey
  /** What checkpoints call the key, up to 255 bytes. Default: its thumbprint (RFC 7638). */
  readonly keyId?: string | undefined
  /** Keys that sealed this log before: without them a log that another key sealed is not continued. */
  readonly previousKeys?: readonly CheckpointKey[] | undefined
  /** How many lines may stand without a checkpoint. Default: 1,000. */
  readonly records?: number | undefined
  /** How long a line may stand without a checkpoint, in milliseconds. Default: 10,000. */
  readonly interval?: number | undefined
  /** Holds checkpoints where those who can write the file can't change them. Default: nobody does. */
  readonly witness?: CheckpointSink | undefined
  /** How many checkpoints the witness may lack before no record is accepted any more. Default: 100. */
  readonly maxUnwitnessed?: number | undefined
}

/** Options with every default filled in. */
export interface CheckedFileAudit {
  readonly rotation: RotationOptions
  readonly fsync: boolean
  readonly maxQueued: number
  readonly repeats: CheckedRepeats | undefined
  readonly seal: CheckedSeal | undefined
  readonly log: Logger
  readonly clock: Clock
}

/** As {@link RepeatOptions}, with every default filled in. */
export interface CheckedRepeats {
  readonly window: number
  readonly kinds: number
  readonly users: number
}

/** As {@link SealOptions}, with every default filled in. */
export interface CheckedSeal {
  readonly key: SealingKey
  readonly keys: readonly KeyObject[]
  readonly records: number
  readonly interval: number
  readonly witness: CheckpointSink | undefined
  readonly maxUnwitnessed: number
}

const MEMBERS = ['maxSize', 'maxAge', 'keep', 'fsync', 'maxQueued', 'repeats', 'seal', 'log', 'clock']
const SEAL_MEMBERS = ['key', 'keyId', 'previousKeys', 'records', 'interval', 'witness', 'maxUnwitnessed']
const LEAST_BYTES = 65_536

/** @throws TypeError naming the option that is wrong. */
export function checkFileAudit(options: FileAuditOptions): CheckedFileAudit {
  checkMembers(options, 'options', MEMBERS)
  const { maxSize, maxAge, keep, fsync = false, maxQueued = 16_777_216 } = options
  const { repeats, seal, log = silentLog, clock = systemClock } = options
  if (maxSize !== undefined) checkNumber(maxSize, 'maxSize', LEAST_BYTES)
  if (maxAge !== undefined) checkNumber(maxAge, 'maxAge', 1)
  if (keep !== undefined) checkNumber(keep, 'keep', 1)
  if (keep !== undefined && maxSize === undefined && maxAge === undefined)
    throw new TypeError('"keep" must go with "maxSize" or "maxAge"')
  if (typeof fsync !== 'boolean') throw new TypeError('"fsync" must be true or false')
  checkNumber(maxQueued, 'maxQueued', LEAST_BYTES)
  checkMethods(log, 'log', ['debug', 'info', 'warn', 'error'])
  checkMethods(clock, 'clock', ['now'])
  return {
    rotation: { maxSize, maxAge, keep },
    fsync,
    maxQueued,
    repeats: repeats === false ? undefined : checkRepeats(repeats ?? {}),
    seal: seal === undefined ? undefined : checkSeal(seal),
    log,
    clock,
  }
}

function checkRepeats(repeats: RepeatOptions): CheckedRepeats {
  checkMembers(repeats, 'repeats', ['window', 'kinds', 'users'])
  const { window = 10_000, kinds = 16, users = 10_000 } = repeats
  checkDuration(window, 'repeats.window')
  checkNumber(kinds, 'repeats.kinds', 1)
  checkNumber(users, 'repeats.users', 1)
  return { window, kinds, users }
}

function checkSeal(seal: SealOptions): CheckedSeal {
  checkMembers(seal, 'seal', SEAL_MEMBERS)
  const { keyId, previousKeys = [], records = 1_000, interval = 10_000, witness, maxUnwitnessed = 100 } = seal
  if (keyId !== undefined && !isCleanText(keyId, 255)) throw new TypeError('"seal.keyId" must be a clean text')
  const key = sealingKey(seal.key, keyId, 'seal.key')
  if (!Array.isArray(previousKeys)) throw new TypeError('"seal.previousKeys" must be a list of keys')
  const previous = previousKeys.map((member, index) => verifyingKey(member, `seal.previousKeys[${index}]`))
  checkNumber(records, 'seal.records', 1)
  checkDuration(interval, 'seal.interval')
  checkNumber(maxUnwitnessed, 'seal.maxUnwitnessed', 1)
  if (witness !== undefined && typeof witness !== 'function') throw new TypeError('"seal.witness" must be a function')
  return { key, keys: [key.publicKey, ...previous], records, interval, witness, maxUnwitnessed }
}

function checkNumber(value: unknown, option: string, least: number): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= least))
    throw new TypeError(`"${option}" must be an integer of at least ${least.toLocaleString('en')}`)
}
