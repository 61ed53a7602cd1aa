import type { Clock, IssueContext, Logger } from '@mcp-delegation/core'

/** The registry's clock and log, for what outlives a call: those of the latest one. */
export interface Surroundings {
  readonly clock: Clock
  readonly log: Logger
  use(context: Pick<IssueContext, 'clock' | 'log'>): void
}

/** Before the first call, the machine's clock and no log. */
export function createSurroundings(): Surroundings {
  let latest: Pick<IssueContext, 'clock' | 'log'> | undefined
  const to = (level: keyof Logger) => (fields: object, message: string) => latest?.log[level](fields, message)
  return {
    clock: { now: () => (latest === undefined ? Date.now() : latest.clock.now()) },
    log: { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') },
    use: ({ clock, log }) => {
      latest = { clock, log }
    },
  }
}
