import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { UsageError, unreadable } from './usage.ts'

/**
 * Opens a file to read.
 * @throws UsageError where that can't be done.
 */
export async function opened(path: string, flags: number = constants.O_RDONLY): Promise<FileHandle> {
  try {
    const file = await open(path, flags)
    if (!(await file.stat()).isDirectory()) return file
    await file.close()
  } catch (cause) {
    throw unreadable(path, cause)
  }
  throw new UsageError(`${path}: is a directory`)
}

/** To read without waiting for whoever writes to a pipe. */
export const WITHOUT_WAITING: number = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * Opens a file to read that has places: no pipe, and no device.
 * @throws UsageError where that can't be done; `hint` follows what it is.
 */
export async function openedRegular(path: string, hint = ''): Promise<FileHandle> {
  const file = await opened(path, WITHOUT_WAITING)
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new UsageError(`${path}: is not a regular file${hint}`)
}
