import { mkdtemp, open, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { volatileFolder } from '../volatile-folder.ts'

const FOLDER = 'mcp-delegation-profile-'

/** Whether {@link writeProfile} makes such paths. */
export function isProfile(path: string | undefined): path is string {
  return path !== undefined && basename(path) === 'krb5.conf' && basename(dirname(path)).startsWith(FOLDER)
}

/** A file until it is removed. */
export interface ProfileFile {
  readonly path: string
  remove(): Promise<void>
}

/**
 * Writes `text` to a file of mode 0600 in a folder of its own of mode 0700. In memory where that can be had: the library
 * looks for the file several times for each token.
 * @throws Error where the path would be a list of two: KRB5_CONFIG is one, between colons.
 */
export async function writeProfile(text: string, within: string = volatileFolder()): Promise<ProfileFile> {
  if (within.includes(':')) throw new Error(`the folder for temporary files (${within}) must have no colon in its name`)
  const folder = await mkdtemp(join(resolve(within), FOLDER))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    const path = join(folder, 'krb5.conf')
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(text)
    } finally {
      await file.close()
    }
    return { path, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
