import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** An OpenID provider that runs until it is disposed of, or until this process ends. */
export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
}

/** Starts the provider, which issues access tokens for `resource` with `scope`. */
export async function startIdentityProvider(resource: URL, scope: string): Promise<IdentityProvider> {
  const program = fileURLToPath(new URL('identity-provider.js', import.meta.url))
  const child = fork(program, [resource.href, scope], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
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
    async [Symbol.asyncDispose]() {
      // Ctrl-C in a terminal ends it too.
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      if (child.connected) child.disconnect()
      await exited
    },
  }
}
