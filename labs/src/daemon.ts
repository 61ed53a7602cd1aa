import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A server of ours in a process group of its own. */
export interface Daemon {
  readonly pid: number
  /** Sends `signal` to the server and to all its children. After a SIGSTOP none of them answers any more. */
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
  /** How long it may take to get ready, in milliseconds. Default: 20,000. */
  readonly patience?: number | undefined
}

/** How long it may take to end until it is killed. */
const GRACE = 5_000

/**
 * Starts a server and waits until it is ready. It is killed with its children when this process ends, however it ends.
 * @throws Error that names its log, where it does not get ready.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { command, env, output, isReady, patience = 20_000 } = options
  const [file, ...args] = command
  const log = openSync(output, 'a')
  const child = spawn(file, args, { env, stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  await once(child, 'spawn')
  const daemon = daemonOf(child)
  const deadline = performance.now() + patience
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

/** A server that can hang, be gone and come back. */
export interface Restartable {
  /** Sends `signal`, where it runs. */
  signal(signal: NodeJS.Signals): void
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  halt(): Promise<void>
  restart(): Promise<void>
}

/** Starts a server with `begin`, now and at each restart. */
export async function restartable(begin: () => Promise<Daemon>): Promise<Restartable> {
  let daemon: Daemon | undefined = await begin()
  const signal = (name: NodeJS.Signals): void => daemon?.signal(name)
  const halt = async (): Promise<void> => {
    const ending = daemon
    daemon = undefined
    await ending?.stop()
  }
  return {
    signal,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    halt,
    restart: async () => {
      await halt()
      daemon = await begin()
    },
  }
}

function daemonOf(child: ChildProcess): Daemon {
  const pid = child.pid as number
  const watch = watchdog(pid)
  const signal = (name: NodeJS.Signals): void => {
    if (isGone(child)) return
    process.kill(-pid, name)
    if (name === 'SIGSTOP') waitUntilStopped(pid)
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

/** How long processes may take to stop, in milliseconds. */
const STOP_PATIENCE = 1_000

/** A signal is sent before it is obeyed: until then, a process that runs on another processor goes on. */
function waitUntilStopped(pid: number): void {
  const deadline = performance.now() + STOP_PATIENCE
  const pause = new Int32Array(new SharedArrayBuffer(4))
  while (performance.now() < deadline && !threadsOf(pid).every(hasStopped)) Atomics.wait(pause, 0, 0, 1)
}

/** The folders in /proc of all threads of a process and of its children. */
function threadsOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/task`
  return listed(folder).flatMap((thread) => [
    `${folder}/${thread}`,
    ...contentOf(`${folder}/${thread}/children`).split(' ').filter(Boolean).map(Number).flatMap(threadsOf),
  ])
}

function hasStopped(thread: string): boolean {
  // The state follows the name, which may hold anything, and is in parentheses.
  const state = contentOf(`${thread}/stat`).split(') ').at(-1)?.charAt(0)
  return state === undefined || state === '' || 'TtZX'.includes(state)
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
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
