import type { Logger } from '@mcp-delegation/core'
import { EngineError } from './engine.ts'
import type { HelperProcess } from './helper-process.ts'

/** The first failure to start is tried again at once; then after this long, doubled each time. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 10_000

/** One helper process after the other. */
export interface Succession {
  /** The one that is ready, if one is. */
  readonly current: HelperProcess | undefined
  /** The one that is ready, or the next. Rejects with {@link EngineError} where it does not start or did not lately. */
  next(): Promise<HelperProcess>
  /** Ends the process; `next` rejects with `closed` from then on. Resolves when it has gone. */
  end(): Promise<void>
}

/** Keeps at most one process, starts it when it is asked for, and another when it has gone. */
export function succession(
  start: (events: { readonly onEnd: () => void; readonly signal: AbortSignal }) => Promise<HelperProcess>,
  log: Logger,
): Succession {
  const closing = new AbortController()
  let current: HelperProcess | undefined
  let starting: Promise<HelperProcess> | undefined
  let failures = 0
  let pausedUntil = 0
  let lastError: unknown
  let ended: Promise<void> | undefined

  const closed = (): EngineError => new EngineError('closed', 'the Kerberos engine was disposed')

  const begin = async (): Promise<HelperProcess> => {
    let lost = false
    try {
      const onEnd = (): void => {
        lost = true
        current = undefined
      }
      const helper = await start({ onEnd, signal: closing.signal })
      if (ended !== undefined) {
        await helper.end()
        throw closed()
      }
      if (lost) throw new EngineError('lost', 'the Kerberos process ended as soon as it had started')
      failures = 0
      current = helper
      log.debug({}, 'the Kerberos process has started')
      return helper
    } catch (error) {
      if (ended !== undefined) throw closed()
      failures++
      const pause = failures === 1 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 2))
      pausedUntil = performance.now() + pause
      lastError = error
      log.error({ error, failures, pause }, 'the Kerberos process does not start')
      throw error
    } finally {
      starting = undefined
    }
  }

  /** The reason of the last failure, and when it is tried again. */
  const paused = (wait: number): EngineError => {
    const cause = lastError
    const { kind, failure } = cause instanceof EngineError ? cause : { kind: 'lost' as const, failure: undefined }
    const retryAt = Date.now() + Math.ceil(wait)
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = `the Kerberos process did not start ${failures} times in a row, lastly: ${why}`
    return new EngineError(kind, message, { cause, failure, retryAt })
  }

  return {
    get current() {
      return current
    },
    next: () => {
      if (ended !== undefined) return Promise.reject(closed())
      if (current !== undefined) return Promise.resolve(current)
      if (starting !== undefined) return starting
      const wait = pausedUntil - performance.now()
      if (wait > 0) return Promise.reject(paused(wait))
      starting = begin()
      return starting
    },
    end: () => {
      ended ??= (async () => {
        const last = current
        closing.abort()
        await starting?.catch(() => {})
        await last?.end()
      })()
      return ended
    },
  }
}
