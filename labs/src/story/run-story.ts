import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { interruption } from './interruption.ts'

/**
 * Runs a story with the path of an audit file in a throw-away folder, and sets the exit status: 0 where `tell` answers that
 * everything happened as told, 1 where it did not, and the signal's where it answers `undefined`, or fails, because it was
 * interrupted.
 */
export async function runStory(
  tell: (auditFile: string, interrupted: ReturnType<typeof interruption>) => Promise<boolean | undefined>,
): Promise<void> {
  // Before there is anything to leave behind.
  const interrupted = interruption()
  let signal: Awaited<typeof interrupted> | undefined
  void interrupted.then((name) => {
    signal = name
  })
  const folder = await mkdtemp(join(tmpdir(), 'mcp-delegation-'))
  let told: boolean | undefined
  try {
    told = await tell(join(folder, 'audit.jsonl'), interrupted)
  } catch (error) {
    // Ctrl-C in a terminal also ends what was being started.
    if (signal === undefined) throw error
  } finally {
    await rm(folder, { recursive: true })
  }
  // What an interrupted story has under way would keep the process.
  if (told === undefined) process.exit((await interrupted) === 'SIGINT' ? 130 : 143)
  process.exitCode = told ? 0 : 1
}
