/** What is needed to remember that the KDC refused a key. */
export interface KeyRefusalsOptions<Keys> {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The keys of now. */
  readonly keys: () => Keys
  /** Whether an error says that the key is wrong. */
  readonly isRefusal: (error: unknown) => boolean
}

const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 60_000

/**
 * Does not ask again and again with a key that was refused: a domain would lock the account out. Rejects with the same
 * error until a pause is over, which doubles each time; other keys are tried at once.
 */
export function keyRefusals<Keys>({
  now,
  keys,
  isRefusal,
}: KeyRefusalsOptions<Keys>): <T>(ask: () => Promise<T>) => Promise<T> {
  let last: { readonly keys: Keys; readonly error: unknown; readonly until: number; readonly pause: number } | undefined
  return async (ask) => {
    const asked = keys()
    if (last?.keys !== asked) last = undefined
    if (last !== undefined && now() < last.until) throw last.error
    try {
      const answer = await ask()
      last = undefined
      return answer
    } catch (error) {
      if (isRefusal(error)) {
        const pause = last === undefined ? FIRST_PAUSE : Math.min(LONGEST_PAUSE, last.pause * 2)
        last = { keys: asked, error, until: now() + pause, pause }
      }
      throw error
    }
  }
}
