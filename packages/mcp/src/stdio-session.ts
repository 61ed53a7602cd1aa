import { DelegationError, type ModuleMap, type Session } from '@mcp-delegation/core'
import type { Settings } from './options.ts'

/** The one session of a server on stdio. */
export type StdioSession = () => Session | Promise<Session>

/** Makes the session when it is first needed, and a new one after its expiry; callers at the same time share one. */
export function stdioSession<M extends ModuleMap>({
  stdio,
  registry,
  clock,
}: Pick<Settings<M>, 'stdio' | 'registry' | 'clock'>): StdioSession {
  let current: Session | undefined
  let coming: Promise<Session> | undefined
  async function begin(create: () => Promise<Session>): Promise<Session> {
    try {
      const session = await Promise.resolve().then(create)
      if (registry.standing(session) === 'ended') throw invalid('the session was not made by createSession')
      current = session
      return session
    } finally {
      coming = undefined
    }
  }
  return () => {
    if (current !== undefined && clock.now() < current.expiresAt.getTime()) return current
    if (stdio === undefined) throw invalid('the call has no session')
    coming ??= begin(stdio)
    return coming
  }
}

function invalid(message: string): DelegationError {
  return new DelegationError('ERR_SESSION_INVALID', message)
}
