import type { Writable } from 'node:stream'
import { printable } from './printable.ts'

/** Where lines go: each one escaped, several in one write. */
export interface Output {
  /** Writes a line; what it returns is to be awaited. It rejects where the stream has failed, as a closed pipe does. */
  line(text: string): Promise<void> | undefined
  /** Resolves when everything is written. */
  flush(): Promise<void>
}

const FULL = 65_536

/** Lines for a stream. Those of one turn of the event loop are written together. */
export function outputTo(stream: Writable): Output {
  let waiting = ''
  let scheduled = false
  let failure: Error | undefined
  // Each write reports its own failure.
  stream.on('error', () => {})

  async function flush(): Promise<void> {
    const text = waiting
    waiting = ''
    if (text !== '' && failure === undefined)
      failure ??= await new Promise((resolve) => stream.write(text, (error) => resolve(error ?? undefined)))
    if (failure !== undefined) throw failure
  }

  return {
    line: (text) => {
      waiting += `${printable(text)}\n`
      if (waiting.length >= FULL) return flush()
      if (scheduled) return undefined
      scheduled = true
      setImmediate(() => {
        scheduled = false
        // Who writes the next line, or flushes, is told.
        flush().catch(() => {})
      })
      return undefined
    },
    flush,
  }
}
