import { isDelegationError } from '../errors.ts'
import type { Session } from '../session.ts'
import { within } from '../within.ts'
import type { VerifyMore } from './options.ts'
import { outage } from './refusal.ts'

/** Runs a function of the caller's, `option`, for no longer than `timeout`, also where it doesn't heed its signal. */
export async function askFor<T>(
  option: string,
  timeout: number,
  run: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await within(timeout, run, work)
  } catch (error) {
    throw isDelegationError(error) ? error : outage(`"${option}" failed`, error)
  }
}

/** Runs the caller's own check. */
export function askMore(
  verifyMore: VerifyMore,
  session: Session,
  run: AbortSignal,
  timeout: number,
): Promise<Session['more']> {
  return askFor('verifyMore', timeout, run, async (signal) => {
    const more: unknown = await verifyMore(session, { signal })
    if (typeof more === 'object' && more !== null) return more as Session['more']
    throw new Error('the answer is not an object')
  })
}
