import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Ticket } from './engine/engine.ts'
import { volatileFolder } from './volatile-folder.ts'

/** A credential cache file, until it is disposed. */
export interface ExportedCache extends AsyncDisposable {
  readonly path: string
}

/** The credential cache files that were written of one ticket. */
export class ExportedCaches {
  readonly #ticket: Ticket
  readonly #open = new Set<ExportedCache>()

  constructor(ticket: Ticket) {
    this.#ticket = ticket
  }

  /** Writes one; it is removed when it is disposed, when `signal` aborts, and by {@link removeAll}. */
  async write(signal: AbortSignal): Promise<ExportedCache> {
    const folder = await mkdtemp(join(volatileFolder(), 'mcp-delegation-ccache-'))
    const path = join(folder, 'ccache')
    let removed: Promise<void> | undefined
    const remove = (): Promise<void> => {
      removed ??= (async () => {
        signal.removeEventListener('abort', leave)
        this.#open.delete(cache)
        await this.#ticket.remove(path).catch(() => {})
        await rm(folder, { recursive: true, force: true })
      })()
      return removed
    }
    const leave = (): void => void remove().catch(() => {})
    const cache: ExportedCache = Object.freeze({ path, [Symbol.asyncDispose]: remove })
    this.#open.add(cache)
    try {
      await this.#ticket.exportTo(path)
      signal.throwIfAborted()
      if (!this.#open.has(cache)) throw new DOMException('the credential was released', 'AbortError')
    } catch (error) {
      await remove()
      throw error
    }
    signal.addEventListener('abort', leave, { once: true })
    return cache
  }

  async removeAll(): Promise<void> {
    await Promise.all([...this.#open].map((cache) => cache[Symbol.asyncDispose]()))
  }
}
