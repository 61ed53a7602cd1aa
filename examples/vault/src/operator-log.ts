import type { Logger } from '@mcp-delegation/core'
import { VaultError } from '@mcp-delegation/vault'

/** What the operator reads, in a pino logger's place. */
export interface OperatorLog extends Logger {
  /** Why credentials were refused, where that was Vault's doing, oldest first. */
  readonly failures: readonly VaultError[]
  /** Prints nothing from now on. */
  mute(): void
}

/** Remembers what Vault did not give, for the story to tell, and prints all other warnings and errors. */
export function createOperatorLog(): OperatorLog {
  const failures: VaultError[] = []
  let muted = false
  const read = (fields: object, message: string): void => {
    const { err } = fields as { readonly err?: unknown }
    const cause = err instanceof Error ? err.cause : undefined
    if (cause instanceof VaultError) failures.push(cause)
    else if (!muted) console.error(message, fields)
  }
  const mute = (): void => {
    muted = true
  }
  const ignore = (): void => {}
  return { failures, mute, debug: ignore, info: ignore, warn: read, error: read }
}
