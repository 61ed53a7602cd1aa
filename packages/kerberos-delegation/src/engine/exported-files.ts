import { rmdirSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'

/** The files that this process has written, so that none outlives it. */
export interface ExportedFiles {
  add(path: string): void
  /** Removes a file that was added; others are left alone. */
  remove(path: string): void
  /** Removes all files, and their private folders where those are empty then. */
  removeAll(): void
}

export function exportedFiles(): ExportedFiles {
  const paths = new Set<string>()
  function remove(path: string): void {
    if (!paths.delete(path)) return
    try {
      unlinkSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return {
    add: (path) => paths.add(path),
    remove,
    removeAll: () => {
      for (const path of paths) {
        try {
          remove(path)
          rmdirSync(dirname(path))
        } catch {
          // The others are removed all the same.
        }
      }
    },
  }
}
