import { rename, rm, stat } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { type AppendFile, syncFolder } from './append-file.ts'
import { type RotatedFile, rotatedFiles, rotatedName } from './rotated-files.ts'

/** When a file is rotated away, and how many of those are kept. */
export interface RotationOptions {
  readonly maxSize: number | undefined
  readonly maxAge: number | undefined
  readonly keep: number | undefined
}

/** What every kind of log file needs. */
export interface LogContext {
  readonly path: string
  readonly fsync: boolean
  readonly rotation: RotationOptions
  readonly clock: Clock
  readonly log: Logger
}

/** Whether `file` is to be rotated away before `more` bytes are written. */
export function isDue({ rotation, clock }: LogContext, file: AppendFile, more: number): boolean {
  const { maxSize, maxAge } = rotation
  if (!file.regular || file.length === 0) return false
  if (maxSize !== undefined && file.length + more > maxSize) return true
  return maxAge !== undefined && clock.now() - file.createdAt >= maxAge
}

/** Gives the file its rotated name: `number`, or the next one that is free. */
export async function rotateAway({ path, fsync }: LogContext, number: number): Promise<void> {
  const last = (await rotatedFiles(path)).at(-1)?.number ?? 0
  const target = rotatedName(path, Math.max(last + 1, number))
  if (await isThere(target)) throw new Error('the name for the rotated audit file is taken')
  await rename(path, target)
  if (fsync) await syncFolder(path)
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/**
 * The rotated files that are too many, oldest first, and the oldest one that stays. Where the number of the `newest` is
 * given they are told by their numbers, so that what others put beside them pushes none out.
 */
export async function surplus(
  { path, rotation: { keep } }: LogContext,
  newest?: number,
): Promise<{ readonly old: readonly RotatedFile[]; readonly oldest: RotatedFile | undefined }> {
  if (keep === undefined) return { old: [], oldest: undefined }
  const all = await rotatedFiles(path)
  const first = newest === undefined ? all.at(-keep)?.number : newest - keep + 1
  const from = first === undefined ? 0 : all.findIndex(({ number }) => number >= first)
  return { old: all.slice(0, Math.max(0, from)), oldest: all[from] }
}

/** Deletes files, oldest first. What can't be deleted is tried again at the next rotation. */
export async function deleteFiles({ log }: LogContext, files: readonly RotatedFile[]): Promise<void> {
  try {
    for (const { path } of files) await rm(path, { force: true })
  } catch (error) {
    log.warn({ err: error }, 'an old audit file could not be deleted')
  }
}
