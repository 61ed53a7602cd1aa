import { rmSync } from 'node:fs'
import { findPath } from '../required.ts'

/** Debian's Python, which has Samba's bindings; another one on PATH has not. */
export const PYTHON = '/usr/bin/python3'

/**
 * The command with a clock that is `offset` away from ours; timers are not touched. libfaketime must come after the change
 * of user: what it shares between processes belongs to the one that was there first.
 */
export function withClock(offset: string, command: readonly [string, ...string[]]): [string, ...string[]] {
  const library = findPath('/usr/lib/*/faketime/libfaketime.so.1')
  return ['env', `LD_PRELOAD=${library}`, `FAKETIME=${offset}`, 'FAKETIME_DONT_FAKE_MONOTONIC=1', ...command]
}

/** Removes what libfaketime leaves behind of the process `pid`. */
export function forgetClock(pid: number): void {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) rmSync(`/dev/shm/${name}`, { force: true })
}
