import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian's Python, which has Samba's bindings; another one on PATH has not. */
export const PYTHON = '/usr/bin/python3'
/** Who runs the servers when the lab is started by root: Debian's `nobody`. */
export const UNPRIVILEGED = { uid: 65534, gid: 65534 }

/** How a command ended. */
export interface Outcome {
  /** Its exit status; 128 + the signal's number where it was killed. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Where `name` is: on PATH or in the folders of administrators' programs, which users have not on theirs. */
export function find(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** The command that runs as `nobody` where we are root, as we are elsewhere, and dies with the process that starts it. */
export function unprivileged(command: string, args: readonly string[]): [string, ...string[]] {
  return ['setpriv', ...(process.getuid?.() === 0 ? asNobody : []), '--pdeathsig', 'KILL', command, ...args]
}
const asNobody = ['--reuid', String(UNPRIVILEGED.uid), '--regid', String(UNPRIVILEGED.gid), '--clear-groups']

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

/** Where libfaketime is: below the folder of the machine's architecture. */
export function findFaketime(): string | undefined {
  return readdirSync('/usr/lib')
    .map((name) => `/usr/lib/${name}/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path))
}

/** The environment of a process whose clock is `offset` away from ours. Timers are not touched. */
export function fakeClock(offset: string): NodeJS.ProcessEnv {
  return { LD_PRELOAD: findFaketime(), FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
}
