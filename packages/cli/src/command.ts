import type { Output } from './output.ts'

/** What a command has of the process that it runs in. */
export interface Surroundings {
  readonly out: Output
  readonly err: Output
  readonly stdin: AsyncIterable<Buffer>
  /** Milliseconds since the epoch. */
  now(): number
  /** Takes over what ends the process, such as Ctrl-C: it aborts the signal instead, once. */
  interruption(): AbortSignal
}

/** A command of the program. */
export interface Command {
  /** What it does, in a few words. */
  readonly summary: string
  /** How it is called: the text of `--help`, whose first line is the usage. */
  readonly help: string
  /** Resolves with the exit status. Rejects with a `UsageError`, or where the output is closed. */
  run(args: readonly string[], surroundings: Surroundings): Promise<number>
}
