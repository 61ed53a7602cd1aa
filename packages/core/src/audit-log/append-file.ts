import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What the path names now, compared with the file that is open. */
export type Standing = 'same' | 'gone' | 'changed'

/** A file that is appended to, for as long as its path names it. */
export class AppendFile {
  readonly #handle: FileHandle
  readonly #path: string
  readonly #dev: number
  readonly #ino: number
  readonly #fsync: boolean
  readonly createdAt: number
  /** Whether it can be rotated: a device can't. */
  readonly regular: boolean
  /** How many bytes it holds, as far as this writer knows. */
  length: number

  static async open(path: string, fsync: boolean): Promise<AppendFile> {
    const handle = await open(path, 'a', 0o600)
    try {
      const found = await handle.stat()
      if (fsync && found.size === 0) await syncFolder(path)
      return new AppendFile(handle, path, fsync, found)
    } catch (error) {
      await handle.close().catch(() => {})
      throw error
    }
  }

  private constructor(handle: FileHandle, path: string, fsync: boolean, found: Awaited<ReturnType<typeof stat>>) {
    this.#handle = handle
    this.#path = path
    this.#fsync = fsync
    this.#dev = Number(found.dev)
    this.#ino = Number(found.ino)
    // Some file systems don't know when a file began.
    this.createdAt = Number(found.birthtimeMs) || Number(found.mtimeMs)
    this.regular = found.isFile()
    this.length = Number(found.size)
  }

  /** Whether the path still names this file, and whether the file is as this writer left it. */
  async standing(): Promise<Standing> {
    try {
      const { dev, ino, size } = await stat(this.#path)
      if (dev !== this.#dev || ino !== this.#ino) return 'gone'
      return size === this.length || !this.regular ? 'same' : 'changed'
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone'
      throw error
    }
  }

  /** Appends all of `bytes`. Where that fails, part of them may be there. */
  async append(bytes: Buffer): Promise<void> {
    let written = 0
    while (written < bytes.length) written += (await this.#handle.write(bytes, written)).bytesWritten
    if (this.#fsync) await this.#handle.datasync()
    this.length += bytes.length
  }

  /** Takes back what a failed {@link append} left. */
  async restore(): Promise<void> {
    await this.#handle.truncate(this.length)
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** Makes a new or another name in the folder of `path` outlast a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Whether the file ends within a line, as after a write that was cut short; also where that can't be read. */
export async function endsTorn(path: string, length: number): Promise<boolean> {
  if (length === 0) return false
  try {
    const file = await open(path, 'r')
    try {
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, length - 1)
      return buffer[0] !== 10
    } finally {
      await file.close()
    }
  } catch {
    return true
  }
}
