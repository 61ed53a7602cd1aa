import { keyRefusals } from './key-refusals.ts'
import { openKeytabSource } from './keytab-source.ts'
import type { Start, TicketFacts, TicketOrder } from './messages.ts'
import { destroyCache } from './native/credential-cache.ts'
import { StageError } from './native/stages.ts'
import { type Generation, serviceTickets } from './service-tickets.ts'
import { startThreads } from './threads.ts'

/** A ticket that was obtained: its facts, and the name of the cache that holds it alone. */
export interface Obtained {
  readonly facts: TicketFacts
  readonly cache: string
}

/** Gets tickets from the KDC. Rejects with {@link StageError}. */
export interface Delegations {
  /** Where `cancelled`, which threads share, becomes 1, the KDC is asked for nothing more. */
  obtain(order: TicketOrder, cancelled: Int32Array): Promise<Obtained>
  /** Makes sure of the service's own ticket. */
  check(): Promise<void>
}

export interface DelegationsOptions extends Start {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** For the operator. */
  readonly report: (problem: string) => void
  /** Told of a defect: nothing can be relied on any more. */
  readonly onCrash: (error: unknown) => void
}

/** Answers that a key of ours is not, or no longer, the right one: a new keytab may help. */
const KEY_ERRORS: ReadonlySet<number | undefined> = new Set([
  -1765328360, // KDC_ERR_PREAUTH_FAILED
  -1765328353, // KRB_AP_ERR_BAD_INTEGRITY
  -1765328340, // KRB_AP_ERR_BADKEYVER
  -1765328339, // KRB_AP_ERR_NOKEY
  -1765328203, // KRB5_KT_NOTFOUND
  -1765328189, // KRB5_FCC_NOFILE: no key, so no ticket was asked for
  -1765328154, // KRB5_KT_KVNONOTFOUND
])

/** Answers that the service's own ticket is not taken: a new one may help. */
const TICKET_ERRORS: ReadonlySet<number | undefined> = new Set([
  -1765328364, // KDC_ERR_TGT_REVOKED
  -1765328353, // KRB_AP_ERR_BAD_INTEGRITY
  -1765328352, // KRB_AP_ERR_TKT_EXPIRED
  -1765328343, // KRB_AP_ERR_MODIFIED
  -1765328340, // KRB_AP_ERR_BADKEYVER
  -1765328339, // KRB_AP_ERR_NOKEY
  -1765328243, // KRB5_CC_NOTFOUND
  -1765328189, // KRB5_FCC_NOFILE
])

/** Rejects with {@link StageError} where the keytab is of no use. */
export async function startDelegations(options: DelegationsOptions): Promise<Delegations> {
  const { principal, keytabPath, rules, maxConcurrent, now, report, onCrash } = options
  const threads = startThreads(maxConcurrent, onCrash)
  const keytab = await openKeytabSource({ path: keytabPath, principal, now, report })
  let count = 0

  /** Runs again once, where a new keytab has come that may help. */
  async function withKeys<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (!isOf(error, ['service', 'accept'], KEY_ERRORS) || !(await keytab.refresh({ now: true }))) throw error
      return await run()
    }
  }

  const guarded = keyRefusals({
    now,
    keys: () => keytab.current,
    isRefusal: (error) => isOf(error, ['service'], KEY_ERRORS),
  })
  const own = serviceTickets({
    acquire: () =>
      withKeys(() =>
        guarded(() =>
          keytab.current.use(async (keys) => {
            const cache = `MEMORY:service-${++count}`
            const obtainedAt = now()
            const { seconds } = await threads.run({ kind: 'service', as: { principal, cache, keytab: keys.name } })
            const endsAt = obtainedAt + seconds * 1000
            keys.usableUntil = Math.max(keys.usableUntil, endsAt)
            return { cache, obtainedAt, endsAt }
          }),
        ),
      ),
    destroy: ({ cache }) => destroyCache(cache),
    now,
    report,
  })

  const delegate = (order: TicketOrder, generation: Generation, cancelled: Int32Array): Promise<Obtained> =>
    keytab.current.use(async (keys) => {
      const id = ++count
      const cache = `MEMORY:ticket-${id}`
      const as = { principal, cache: generation.cache, keytab: keys.name }
      const { user, service } = order
      const delegation = { user, service, as, rules, cancelled, cache, scratch: `MEMORY:scratch-${id}` }
      const { facts } = await threads.run({ kind: 'delegation', delegation })
      return { facts, cache }
    })

  return {
    obtain: async (order, cancelled) => {
      await keytab.refresh()
      let used: Generation | undefined
      const attempt = (): Promise<Obtained> =>
        withKeys(() =>
          own.use((generation) => {
            used = generation
            return delegate(order, generation, cancelled)
          }),
        )
      try {
        return await attempt()
      } catch (error) {
        if (used === undefined || !isOf(error, ['service', 'self', 'proxy'], TICKET_ERRORS)) throw error
        own.retire(used)
        return await attempt()
      }
    },
    check: async () => {
      await keytab.refresh()
      await own.use(async () => {})
    },
  }
}

function isOf(error: unknown, stages: readonly string[], minors: ReadonlySet<number | undefined>): boolean {
  if (!(error instanceof StageError)) return false
  const { stage, minor } = error.failure
  return stages.includes(stage) && minors.has(minor)
}
