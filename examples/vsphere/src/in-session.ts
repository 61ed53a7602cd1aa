import type { Credential, SessionCredential } from '@mcp-delegation/core'
import { VcenterError, type VcenterSession } from './vcenter/index.ts'

/** A lease on the caller's session at vCenter. */
export type SessionLease = Credential<SessionCredential<VcenterSession>>

const over = new WeakSet<VcenterSession>()

/** Whether vCenter was seen to have ended it, so that it is of no use to anybody any more. */
export function isOver(session: VcenterSession): boolean {
  return over.has(session)
}

/**
 * Works in the caller's session at vCenter. One that vCenter has ended is given up, and the work is tried once more in a
 * new one, where vCenter had not begun with it.
 */
export async function inSession<Result>(
  lease: () => Promise<SessionLease>,
  work: (session: VcenterSession) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    await using session = await lease()
    const { handle } = session.value
    try {
      return await work(handle)
    } catch (error) {
      if (!(error instanceof VcenterError) || error.code !== 'ERR_VCENTER_NOT_AUTHENTICATED') throw error
      over.add(handle)
      session.invalidate()
      if (attempt === 2 || error.begun) throw error
    }
  }
}
