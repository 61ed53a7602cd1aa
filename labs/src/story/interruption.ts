/** Resolves at the first Ctrl-C or SIGTERM, which end nothing by themselves; the second ends the process at once. */
export function interruption(): Promise<'SIGINT' | 'SIGTERM'> {
  return new Promise((resolve) => {
    const interrupted = (signal: 'SIGINT' | 'SIGTERM'): void => {
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
      resolve(signal)
    }
    process.on('SIGINT', interrupted).on('SIGTERM', interrupted)
  })
}
