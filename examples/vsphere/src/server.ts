// The server for real: configured by its environment, until SIGTERM or Ctrl-C. What it says goes to standard error.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { isDelegationError, type Logger } from '@mcp-delegation/core'
import { openServer } from './open-server.ts'
import { readSettings, type Settings, SettingsError } from './settings.ts'

/** How long calls may take that are under way at the end, in milliseconds. */
const GRACE = 10_000

/** A line each; a server of yours may have pino in its place. */
function logFrom(level: Settings['logLevel']): Logger {
  const [debug, info] = level === 'debug' ? [write('debug'), write('info')] : [() => {}, () => {}]
  return { debug, info, warn: write('warn'), error: write('error') }
}

try {
  const settings = readSettings(process.env)
  await using server = await openServer(settings, logFrom(settings.logLevel))
  const http = createServer(server.answer)
  const { host, port } = settings.listen
  http.listen(port, host)
  await once(http, 'listening')
  console.error(`${server.summary()}\nlistening on port ${(http.address() as AddressInfo).port}`)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  console.error('ending')
  http.close()
  await Promise.race([once(http, 'close'), delay(GRACE, undefined, { ref: false })])
  http.closeAllConnections()
} catch (error) {
  console.error(reasonOf(error))
  process.exitCode = 1
}

/** One line for an operator. */
function reasonOf(error: unknown): string {
  const known = error instanceof SettingsError || error instanceof TypeError || isDelegationError(error)
  const { message, code, cause } = error as { message: string; code?: string; cause?: { message?: string } }
  if (!known && code === undefined) return String((error as Error).stack)
  return `can't start: ${message}${cause?.message === undefined ? '' : ` (${cause.message})`}`
}

function write(level: string): Logger['warn'] {
  return (fields, message) => {
    const { err, ...rest } = fields as { readonly err?: unknown }
    const error = err instanceof Error ? { error: err.message, cause: (err.cause as Error | undefined)?.message } : {}
    console.error(JSON.stringify({ at: new Date().toISOString(), level, message, ...rest, ...error }))
  }
}
