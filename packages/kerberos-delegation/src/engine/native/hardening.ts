import { libc } from './libraries.ts'

const PR_SET_PDEATHSIG = 1
const PR_SET_DUMPABLE = 4
const SIGUSR2 = 12
const RLIMIT_CORE = 4

/**
 * No memory of this process on disk or for others, and no life without its parent: SIGUSR2 comes when that has ended.
 * @see prctl(2), setrlimit(2)
 */
export function harden(): void {
  const none = new Uint8Array(16)
  if (libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0 || libc.setrlimit(RLIMIT_CORE, none) !== 0)
    throw new Error('core dumps of this process cannot be prevented')
  if (libc.prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0) !== 0)
    throw new Error('this process cannot be bound to its parent')
}

/**
 * Ends this process when its main thread has hung for so many seconds: it would heed neither its channel nor signals.
 * @see alarm(2)
 */
export function endIfHung(patience: number): void {
  libc.alarm(patience)
  setInterval(() => libc.alarm(patience), (patience * 1000) / 3).unref()
}
