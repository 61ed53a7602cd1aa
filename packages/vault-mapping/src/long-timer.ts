/** The longest delay that `setTimeout` keeps: a longer one fires at once. */
const MAX_DELAY = 2 ** 31 - 1

/**
 * Calls `work` after `delay` milliseconds, however long that is; never where it is infinite. It does not keep the process
 * alive. Returns how to cancel it.
 */
export function startTimer(delay: number, work: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const wait = (left: number): void => {
    const next = Math.min(left, MAX_DELAY)
    timer = setTimeout(() => (left > next ? wait(left - next) : work()), Math.max(0, next)).unref()
  }
  if (delay < Number.POSITIVE_INFINITY) wait(delay)
  return () => clearTimeout(timer)
}
