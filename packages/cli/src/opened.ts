import { type FileHandle, open } from 'node:fs/promises'
import { UsageError, unreadable } from './usage.ts'

/**
 * Opens a file to read.
 * @throws UsageError where that can't be done.
 */
export async function opened(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'r')
    if (!(await file.stat()).isDirectory()) return file
    await file.close()
  } catch (cause) {
    throw unreadable(path, cause)
  }
  throw new UsageError(`${path}: is a directory`)
}
