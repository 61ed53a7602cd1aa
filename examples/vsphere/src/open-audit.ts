import { access, constants, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type AuditSink, fileAudit, fileCheckpoints, type Logger, secretReader } from '@mcp-delegation/core'
import { type Settings, SettingsError } from './settings.ts'

/** As many as there are tools, and what else can be refused: each kind is on record at once. */
const KINDS = 128

/**
 * Opens the audit file: sealed, where there is a key, with its checkpoints somewhere else besides.
 * @throws SettingsError where there is no place for them, DelegationError where the key can't be read.
 */
export async function openAudit({ file, seal }: Settings['audit'], log: Logger): Promise<AuditSink & AsyncDisposable> {
  const repeats = { kinds: KINDS }
  await checkPlace('AUDIT_FILE', file)
  if (seal === undefined) return fileAudit(file, { repeats, log })
  await checkPlace('AUDIT_CHECKPOINT_FILE', seal.checkpoints)
  const key = await secretReader(seal.key, 'AUDIT_KEY_FILE')({ signal: new AbortController().signal })
  return fileAudit(file, { repeats, log, seal: { key, witness: fileCheckpoints(seal.checkpoints) } })
}

async function checkPlace(name: string, file: string): Promise<void> {
  try {
    await access(dirname(file), constants.W_OK)
  } catch {
    throw new SettingsError(`${name} must be in a folder that can be written to`)
  }
  const there = await stat(file).catch(() => undefined)
  if (there === undefined) return
  const canWrite = await access(file, constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!there.isFile() || !canWrite) throw new SettingsError(`${name} must be a file that can be written to`)
}
