import {
  type ActiveDirectory,
  activeDirectory,
  apacheBackend,
  unprivilegedBecause,
} from '@mcp-delegation/labs/active-directory'
import type { RunClient } from './clients.ts'

/** A domain with its backends. */
export interface Domain extends AsyncDisposable {
  readonly lab: ActiveDirectory
  /** The origin of the web service. */
  readonly web: string
  /** Runs the clients of the directory and of the share; undefined where this machine can't have them. */
  readonly run: RunClient | undefined
  /** Why not, in sentences. */
  readonly notRun: readonly string[]
  /** The credential caches that clients were run with. */
  readonly caches: ReadonlySet<string>
}

/** Starts the domain: always with the web service, with a directory and a share where this machine allows it. */
export async function startDomain(): Promise<Domain> {
  const notRun = unprivilegedBecause()
  const privileged = notRun.length === 0
  const lab = await activeDirectory({ ldap: privileged, smb: privileged })
  try {
    const apache = await apacheBackend(lab)
    const caches = new Set<string>()
    const run: RunClient = (command, args, options) => {
      caches.add((options.env['KRB5CCNAME'] ?? '').replace('FILE:', ''))
      return lab.run(command, args, options)
    }
    return {
      lab,
      web: apache.origin,
      run: privileged ? run : undefined,
      notRun,
      caches,
      async [Symbol.asyncDispose]() {
        await apache.dispose()
        await lab.dispose()
      },
    }
  } catch (error) {
    await lab.dispose()
    throw error
  }
}
