/**
 * Runs `work` for no longer than `timeout` milliseconds, and until `outer` aborts: its signal aborts then, and this
 * rejects with the signal's reason, also where `work` doesn't heed it.
 *
 * Not `AbortSignal.any` with `AbortSignal.timeout`: garbage collection can take the timer of those before it fires.
 * @see https://github.com/nodejs/node/issues/57736
 */
export async function within<T>(
  timeout: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer?.throwIfAborted()
  const controller = new AbortController()
  const late = (): void => controller.abort(new DOMException(`no answer within ${timeout} ms`, 'TimeoutError'))
  const leave = (): void => controller.abort(outer?.reason)
  const timer = setTimeout(late, timeout)
  outer?.addEventListener('abort', leave, { once: true })
  try {
    return await new Promise<T>((resolve, reject) => {
      const { signal } = controller
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      work(signal).then(resolve, reject)
    })
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', leave)
  }
}
