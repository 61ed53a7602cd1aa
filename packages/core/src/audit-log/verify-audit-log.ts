import type { KeyObject } from 'node:crypto'
import { type CheckpointKey, verifyingKey } from './checkpoint.ts'
import { Findings } from './findings.ts'
import { HeldCheckpoints } from './held-checkpoints.ts'
import { linesOf } from './lines.ts'
import { LogCheck } from './log-check.ts'
import type { AuditLogReport } from './report.ts'

/** Options of {@link verifyAuditLog}. */
export interface VerifyAuditLogOptions {
  /** Paths, oldest first; see `auditLogFiles`. */
  readonly files: readonly string[]
  /** The public keys whose checkpoints count: all that have sealed this log. */
  readonly keys: readonly CheckpointKey[]
  /**
   * Checkpoints that are held where those who can write the log can't change them: the path of the file that the witness
   * wrote, or the checkpoints themselves, oldest first.
   */
  readonly checkpoints?: string | readonly string[] | undefined
}

/**
 * Reads a sealed log from its first to its last line and tells what is wrong with it, in bounded memory, whatever the
 * files hold, and without writing anything.
 *
 * What is claimed depends on who could have changed the log:
 *
 * - Somebody who can write the files and has **not** the private key can't change, remove, insert or reorder anything
 *   before the last checkpoint that is left. They can cut the end off, checkpoints included, and write other records
 *   after the last checkpoint that they leave, as many as the writer lets stand without one. Only a checkpoint that is
 *   held elsewhere shows a cut, so without `checkpoints` nothing is claimed about where the log ends.
 * - Somebody who **has** the private key, so also whoever controls the server's process, can write any log that
 *   verifies. Against them only what precedes the last checkpoint that is held elsewhere is claimed: that it is what was
 *   written when that checkpoint was made. Nothing is claimed about records that such a server never wrote.
 * - Records after the last checkpoint (`unsealed`) are claimed against nobody; a writer that starts on such a log
 *   seals what it finds, which `restarts` tells.
 * - That old files are missing is no finding where a valid checkpoint says that `keep` may have deleted them.
 *
 * @throws TypeError where an option is wrong. A file that can't be read is a finding.
 */
export async function verifyAuditLog(options: VerifyAuditLogOptions): Promise<AuditLogReport> {
  const { files, keys, checkpoints } = options
  if (!isTexts(files) || files.length === 0) throw new TypeError('"files" must be a list of paths')
  if (!Array.isArray(keys) || keys.length === 0) throw new TypeError('"keys" must be a list of public keys')
  if (checkpoints !== undefined && typeof checkpoints !== 'string' && !isTexts(checkpoints))
    throw new TypeError('"checkpoints" must be a path or a list of checkpoints')
  const trusted: readonly KeyObject[] = keys.map((key, index) => verifyingKey(key, `keys[${index}]`))
  const findings = new Findings()
  const held = new HeldCheckpoints(checkpoints, trusted, findings)
  const check = new LogCheck(trusted, held, findings)
  for (const file of files) {
    check.beginFile(file)
    try {
      for await (const line of linesOf(file)) await check.line(line)
    } catch (error) {
      check.unreadable((error as NodeJS.ErrnoException).code ?? 'unknown error')
    }
    check.endFile()
  }
  return check.end()
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((member) => typeof member === 'string')
}
