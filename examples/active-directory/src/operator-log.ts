import type { Logger } from '@mcp-delegation/core'
import { KerberosError } from '@mcp-delegation/kerberos'

/** What the operator reads, in a pino logger's place. */
export interface OperatorLog extends Logger {
  /** Why Kerberos refused, and what to do about it, oldest first. */
  readonly refusals: readonly KerberosError[]
  /** Prints nothing from now on. */
  mute(): void
}

/** Remembers the causes of refusals, and prints warnings and errors. */
export function createOperatorLog(): OperatorLog {
  const refusals: KerberosError[] = []
  const remember = ({ err }: { readonly err?: unknown }): void => {
    const cause = err instanceof Error ? err.cause : undefined
    if (cause instanceof KerberosError) refusals.push(cause)
  }
  let muted = false
  const print = (fields: object, message: string): void => {
    if (!muted) console.error(message, fields)
  }
  const mute = (): void => {
    muted = true
  }
  return { refusals, mute, debug: remember, info: remember, warn: print, error: print }
}
