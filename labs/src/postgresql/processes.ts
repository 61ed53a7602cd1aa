import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Daemon } from '../daemon.ts'

/** Signals the server and the processes of its connections, each of which has a process group of its own. */
export function signalAll(daemon: Daemon, signal: NodeJS.Signals): void {
  daemon.signal(signal)
  for (const pid of children(daemon.pid)) send(pid, signal)
}

/** Kills them all, and waits until they are gone: what one of them still holds keeps the next server from starting. */
export async function killAll(daemon: Daemon): Promise<void> {
  const pids = children(daemon.pid)
  daemon.signal('SIGKILL')
  await daemon.stop()
  for (const pid of pids) send(pid, 'SIGKILL')
  while (pids.some(isRunning)) await delay(2)
}

function children(pid: number): readonly number[] {
  try {
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return pids === '' ? [] : pids.split(' ').map(Number)
  } catch {
    // It is gone already.
    return []
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}

/** Whether the process is there and not just its exit status, which nobody may ask for in a long time. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
