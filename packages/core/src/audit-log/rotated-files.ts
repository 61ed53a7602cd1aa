import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

const SUFFIX = /^\.([0-9]{6,12})$/

/** A file that was rotated away. */
export interface RotatedFile {
  readonly path: string
  readonly number: number
}

/** The name that the file at `path` gets when it is rotated away as the `number`th. */
export function rotatedName(path: string, number: number): string {
  return `${path}.${String(number).padStart(6, '0')}`
}

/** The files that were rotated away from `path`, oldest first. */
export async function rotatedFiles(path: string): Promise<readonly RotatedFile[]> {
  const folder = dirname(path)
  const name = basename(path)
  const found: RotatedFile[] = []
  for (const entry of await readdir(folder)) {
    const digits = entry.startsWith(name) ? SUFFIX.exec(entry.slice(name.length))?.[1] : undefined
    const number = Number(digits)
    // No other name for the same number.
    if (digits !== undefined && entry === rotatedName(name, number)) found.push({ path: join(folder, entry), number })
  }
  return found.sort((a, b) => a.number - b.number)
}

/** The files of the log at `path` that are there: those rotated away, oldest first, and the one being written. */
export async function auditLogFiles(path: string): Promise<readonly string[]> {
  const rotated = (await rotatedFiles(path)).map((file) => file.path)
  const current = (await readdir(dirname(path))).includes(basename(path))
  return current ? [...rotated, path] : rotated
}
