import { libc } from './libraries.ts'

const PR_SET_PDEATHSIG = 1
const PR_SET_DUMPABLE = 4
const SIGKILL = 9
const RLIMIT_CORE = 4

/** No memory of this process on disk or for others, and no life without its parent. @see prctl(2), setrlimit(2) */
export function harden(): void {
  const none = new Uint8Array(16)
  if (libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0 || libc.setrlimit(RLIMIT_CORE, none) !== 0)
    throw new Error('core dumps of this process cannot be prevented')
  if (libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) !== 0)
    throw new Error('this process cannot be bound to its parent')
}
