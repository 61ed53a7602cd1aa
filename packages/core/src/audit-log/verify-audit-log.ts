import type { CheckpointKey } from './checkpoint.ts'
import type { AuditLogReport } from './report.ts'

/** Options of {@link verifyAuditLog}. */
export interface VerifyAuditLogOptions {
  /** Paths, oldest first; see `auditLogFiles`. */
  readonly files: readonly string[]
  /** The public keys whose checkpoints count: all that have sealed this log. */
  readonly keys: readonly CheckpointKey[]
  /**
   * Checkpoints that are held where those who can write the log can't: the path of the file that the witness wrote, or
   * the checkpoints themselves, oldest first.
   */
  readonly checkpoints?: string | readonly string[] | undefined
}

/** Verifies a sealed log. */
export async function verifyAuditLog(_options: VerifyAuditLogOptions): Promise<AuditLogReport> {
  throw new Error('not there yet')
}
