import { type AuditSink, fileAudit, fileCheckpoints, type Logger, secretReader } from '@mcp-delegation/core'
import type { Settings } from './settings.ts'

/** As many as there are tools, and what else can be refused: each kind is on record at once. */
const KINDS = 128

/** Opens the audit file: sealed, where there is a key, with its checkpoints somewhere else besides. */
export async function openAudit({ file, seal }: Settings['audit'], log: Logger): Promise<AuditSink & AsyncDisposable> {
  const repeats = { kinds: KINDS }
  if (seal === undefined) return fileAudit(file, { repeats, log })
  const key = await secretReader(seal.key, 'AUDIT_KEY_FILE')({ signal: new AbortController().signal })
  return fileAudit(file, { repeats, log, seal: { key, witness: fileCheckpoints(seal.checkpoints) } })
}
