import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * An open file with `text` that has no name any more: the process that inherits the descriptor reads it as
 * `/proc/self/fd/<n>`, as often as it likes, and nothing can be left behind, however either process ends.
 * Until it is unlinked it stands with mode 0600 in a folder of mode 0700 of its own.
 */
export async function openProfile(text: string): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-delegation-'))
  try {
    const path = join(folder, 'krb5.conf')
    const writer = await open(path, 'wx', 0o600)
    try {
      await writer.writeFile(text)
    } finally {
      await writer.close()
    }
    return await open(path, 'r')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
