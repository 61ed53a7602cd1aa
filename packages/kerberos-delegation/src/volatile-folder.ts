import { accessSync, constants, statSync } from 'node:fs'
import { tmpdir } from 'node:os'

/** A folder whose files are only in the machine's memory, where there is one that we may write; else the usual one. */
export function volatileFolder(): string {
  for (const folder of [`/run/user/${process.getuid?.()}`, '/dev/shm'])
    try {
      if (!statSync(folder).isDirectory()) continue
      accessSync(folder, constants.W_OK | constants.X_OK)
      return folder
    } catch {}
  return tmpdir()
}
