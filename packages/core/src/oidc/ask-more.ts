import { isDelegationError } from '../errors.ts'
import type { Session } from '../session.ts'
import { within } from '../within.ts'
import type { VerifyMore } from './options.ts'
import { outage } from './refusal.ts'

/** Runs the caller's own check, for no longer than `timeout`, also where it doesn't heed its signal. */
export async function askMore(
  verifyMore: VerifyMore,
  session: Session,
  run: AbortSignal,
  timeout: number,
): Promise<Session['more']> {
  try {
    const more: unknown = await within(timeout, run, async (signal) => verifyMore(session, { signal }))
    if (typeof more === 'object' && more !== null) return more as Session['more']
    throw new Error('the answer is not an object')
  } catch (error) {
    throw isDelegationError(error) ? error : outage('"verifyMore" failed', error)
  }
}
