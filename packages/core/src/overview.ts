import { DelegationError } from './errors.ts'
import { toDelegationError } from './issue.ts'
import type { Registered } from './member.ts'
import type { CheckedOptions } from './options.ts'
import { within } from './within.ts'

/** Counts of what is registered under one name. */
export interface ModuleStats {
  /** Credentials in the cache now. */
  readonly entries: number
  /** Leases that are open now. */
  readonly leases: number
  /** Calls that were served from the cache. */
  readonly hits: number
  /** Calls that had to wait for an issue. */
  readonly misses: number
  readonly refusals: number
  /** Issues that wait for their turn now. */
  readonly queued: number
}

/** Counts by registered name. */
export function statsOf(registered: Iterable<Registered>): Record<string, ModuleStats> {
  const stats: Record<string, ModuleStats> = {}
  for (const { name, members, counters } of registered)
    stats[name] = { ...counters, queued: members.reduce((sum, { admission }) => sum + admission.queued, 0) }
  return stats
}

/** What is configured, as text. */
export function describe(registered: Iterable<Registered>, options: CheckedOptions): string {
  const lines = [
    `policy: ${options.policy === undefined ? 'the backends decide' : 'configured'}`,
    `cache: ${options.max} credentials, ${options.maxPerUser} per user, at most ${options.maxAge} ms`,
    `deadline: ${options.deadline} ms`,
    'modules:',
  ]
  for (const { name, members } of registered) {
    const list = members.map(({ module, deadline, maxAge }) => {
      const shared = module.shared === true ? ', shared account' : ''
      return `${module.type} (reuse: ${module.reuse}${shared}, max age ${maxAge} ms, deadline ${deadline} ms)`
    })
    lines.push(`  ${name}: ${list.join(', or for those who are not mapped there ')}`)
  }
  return lines.join('\n')
}

/** Asks every module whether it can serve; the answer holds the error of each that can't. */
export async function checkAll(
  registered: Iterable<Registered>,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Record<string, DelegationError | undefined>> {
  signal?.throwIfAborted()
  const answers: Record<string, DelegationError | undefined> = {}
  await Promise.all(
    [...registered].map(async ({ name, members }) => {
      try {
        await within(deadline, signal, (both) =>
          Promise.all(members.map(async ({ module }) => module.check?.({ signal: both }))),
        )
        answers[name] = undefined
      } catch (error) {
        answers[name] = isTimeout(error)
          ? new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the module did not answer in time', { cause: error })
          : toDelegationError(error)
      }
    }),
  )
  signal?.throwIfAborted()
  return answers
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError'
}
