/** A number of places, given to those who wait in the order in which they came. */
export interface Slots {
  /** Resolves with how to leave, once; rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void>
}

export function createSlots(size: number): Slots {
  let free = size
  const waiting = new Set<() => void>()
  const leave = (): void => {
    const [next] = waiting
    if (next === undefined) free++
    else next()
  }
  return {
    async enter(signal) {
      signal.throwIfAborted()
      if (free > 0) free--
      else await turn(waiting, signal)
      let left = false
      return () => {
        if (!left) leave()
        left = true
      }
    },
  }
}

function turn(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      waiting.delete(called)
      signal.removeEventListener('abort', aborted)
      settle()
    }
    const called = (): void => end(resolve)
    const aborted = (): void => end(() => reject(signal.reason))
    waiting.add(called)
    signal.addEventListener('abort', aborted, { once: true })
  })
}
