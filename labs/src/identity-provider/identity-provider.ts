import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What {@link identityProvider} takes. */
export interface IdentityProviderOptions {
  /** The users that can log in, with any password: `sub` → further claims of their access tokens. */
  readonly users: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** The one resource that it issues access tokens for: the URL of an MCP server. */
  readonly resource: string
  /** The scope that those tokens can have. */
  readonly scope: string
}

/** An OpenID provider that runs until it is disposed of, or until this process ends. */
export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
  /** Gives a user other claims, in the tokens that are issued from now on. */
  setClaims(user: string, claims: Readonly<Record<string, unknown>>): Promise<void>
}

/**
 * Starts an OpenID provider on a free port of this machine, with dynamic registration, PKCE and JWT access tokens.
 * @throws Error with what it printed, where it does not start.
 */
export async function identityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const program = fileURLToPath(new URL('provider-process.js', import.meta.url))
  const child = fork(program, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  // It prints advice for production, which is of interest only where it fails.
  let printed = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const issuer = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { issuer: string }).issuer))
    child.once('exit', () => reject(new Error(`the identity provider did not start:\n${printed}`)))
  })
  return {
    issuer,
    async setClaims(user, claims) {
      const taken = once(child, 'message')
      child.send({ user, claims })
      await taken
    },
    async [Symbol.asyncDispose]() {
      // Ctrl-C in a terminal ends it too.
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      if (child.connected) child.disconnect()
      await exited
    },
  }
}
