/** Writes a line to standard output. */
export function write(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** Names and what they are, in two columns. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')
}

/** Resolves at Ctrl-C or SIGTERM, which end nothing by themselves from now on. */
export function untilEnded(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve())
  })
}
