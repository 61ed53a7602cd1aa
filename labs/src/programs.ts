import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Who runs the servers when the lab is started by root: Debian's `nobody`. */
export const UNPRIVILEGED = { uid: 65534, gid: 65534 }

/** How a command ended. */
export interface Outcome {
  /** Its exit status; 128 + the signal's number where it was killed. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** The command as the servers run: where root starts it, as `nobody`, unless it is privileged. */
export function asServer(command: readonly [string, ...string[]], privileged = false): [string, ...string[]] {
  if (!isRoot() || privileged) return [...command]
  const { uid, gid } = UNPRIVILEGED
  return ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', ...command]
}

/**
 * The program at `path` as {@link asServer} runs it. It is opened before the user changes, since that one may not go
 * through the folders that lead to it, as root's own.
 */
export function programAsServer(path: string, args: readonly string[]): [string, ...string[]] {
  if (!isRoot() || !existsSync('/proc/self/fd')) return asServer([path, ...args])
  return ['sh', '-c', 'exec 9<"$0" && exec "$@"', path, ...asServer(['/proc/self/fd/9', ...args])]
}

/** Whether this process is root's. */
export function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** Runs a command to its end, with `input` as its standard input. Rejects only where it cannot be started. */
export function run(
  [command, ...args]: readonly [string, ...string[]],
  { env, input = '' }: { readonly env?: NodeJS.ProcessEnv | undefined; readonly input?: string | undefined } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { env: env ?? process.env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') return reject(error)
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : 128, stdout, stderr })
    })
    // A command that does not read its input may be gone before it is written.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
