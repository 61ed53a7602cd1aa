import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A server of ours in a process group of its own. */
export interface Daemon {
  readonly pid: number
  /** Sends `signal` to the server and to all its children. */
  signal(signal: NodeJS.Signals): void
  /** Ends it, and waits until it is gone. */
  stop(): Promise<void>
}

/** How a server is started. */
export interface DaemonOptions {
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  /** Takes what it prints. */
  readonly output: string
  /** Asked every few milliseconds until it says yes. */
  readonly isReady: () => Promise<boolean>
}

/** How long a server may take to start, in milliseconds. */
const PATIENCE = 20_000
/** How long it may take to end until it is killed. */
const GRACE = 5_000

/**
 * Starts a server and waits until it is ready. It is killed with its children when this process ends, however it ends.
 * @throws Error that names its log, where it does not get ready.
 */
export async function startDaemon({ command: [file, ...args], env, output, isReady }: DaemonOptions): Promise<Daemon> {
  const log = openSync(output, 'a')
  const child = spawn(file, args, { env, stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  await once(child, 'spawn')
  const daemon = daemonOf(child)
  const deadline = performance.now() + PATIENCE
  while (!(await isReady())) {
    if (!isGone(child) && performance.now() < deadline) {
      await delay(10)
      continue
    }
    await daemon.stop()
    throw new Error(`${file} did not get ready: ${readFileSync(output, 'utf8').trim().slice(-2_000)}`)
  }
  return daemon
}

function daemonOf(child: ChildProcess): Daemon {
  const pid = child.pid as number
  const watch = watchdog(pid)
  const signal = (name: NodeJS.Signals): void => {
    if (!isGone(child)) process.kill(-pid, name)
  }
  return {
    pid,
    signal,
    stop: async () => {
      if (!isGone(child)) {
        const gone = once(child, 'exit')
        signal('SIGTERM')
        // A stopped process hears nothing else until it goes on.
        signal('SIGCONT')
        const impatience = setTimeout(() => signal('SIGKILL'), GRACE)
        await gone
        clearTimeout(impatience)
      }
      watch.kill('SIGKILL')
    },
  }
}

/**
 * A process that kills the group `pid`, and its leader's children in groups of their own, when ours ends and so closes
 * the pipe to it. What the kernel has for that (PR_SET_PDEATHSIG) ends a server without its children, and already when
 * the thread that started it ends.
 */
function watchdog(pid: number): ChildProcess {
  const script = 'read -r line; kill -s KILL -- "-$1" $(cat "/proc/$1/task/$1/children")'
  const child = spawn('sh', ['-c', script, 'sh', String(pid)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.unref()
  const pipe = child.stdin as Socket
  pipe.unref()
  return child
}

function isGone(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
