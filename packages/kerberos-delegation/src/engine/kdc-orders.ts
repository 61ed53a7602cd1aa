import { EngineError } from './engine.ts'
import type { HelperProcess, Reply } from './helper-process.ts'
import type { KdcGate, TripOutcome } from './kdc-gate.ts'
import type { TicketOrder } from './messages.ts'
import type { Succession } from './succession.ts'

export interface KdcOrdersOptions {
  /** How long one order may take from the call on, in milliseconds. */
  readonly deadline: number
  /** How many calls that may still be answered in time run at once. */
  readonly maxConcurrent: number
}

/**
 * How many threads the helper process may have besides: those that hang in a KDC that is silent are replaced, so that
 * the process with its tickets outlives the half minute after which the library gives up, at a probe each five seconds.
 */
const SPARE_THREADS = 8

/** How many threads the helper process may have in all. */
export function threadsFor(maxConcurrent: number): number {
  return maxConcurrent + SPARE_THREADS
}

/** A ticket that has come, and the process that holds it. */
export interface Delivery {
  readonly helper: HelperProcess
  readonly answer: Reply<'obtain'>['ok']
}

/** Whatever needs a thread of the helper process and a trip to the KDC. Rejects as `Engine.obtain` does. */
export interface KdcOrders {
  obtain(order: TicketOrder, signal: AbortSignal): Promise<Delivery>
  check(signal: AbortSignal): Promise<void>
  /** Rejects everything with `closed`. */
  close(): void
}

/** The threads of one process. A stuck one has not answered in time, and is one again when it answers after all. */
interface Threads {
  readonly helper: HelperProcess
  busy: number
  stuck: number
}

interface Waiting {
  /** For whom; the service itself is nobody. */
  readonly traveller: string
  /** Sends the request; answers how it went once it is settled, and never rejects. */
  readonly trip: (threads: Threads) => Promise<TripOutcome>
  readonly fail: (error: unknown) => void
}

const closed = (): EngineError => new EngineError('closed', 'the Kerberos engine was disposed')

/** Queues orders for the threads of the helper process. */
export function kdcOrders(options: KdcOrdersOptions, processes: Succession, gate: KdcGate): KdcOrders {
  const { deadline, maxConcurrent } = options
  const queue = new Set<Waiting>()
  const open = new Set<Waiting>()
  let threads: Threads | undefined
  let lastOrder = 0
  let awaitingProcess = false
  let isClosed = false

  const refuse = (waiting: Waiting, retryAt: number): void =>
    waiting.fail(new EngineError('open', 'the KDC did not answer lately, and is not asked', { retryAt }))

  /** Has a process for the queue, and comes back when it is there. */
  const awaitProcess = (): void => {
    if (awaitingProcess) return
    awaitingProcess = true
    processes.next().then(
      () => {
        awaitingProcess = false
        pump()
      },
      (error: unknown) => {
        awaitingProcess = false
        for (const waiting of queue) waiting.fail(error)
      },
    )
  }

  const send = async (waiting: Waiting, own: Threads): Promise<void> => {
    own.busy++
    try {
      const passed = await gate.pass(waiting.traveller, () => waiting.trip(own))
      if (!passed) {
        own.busy--
        refuse(waiting, gate.closedUntil ?? Date.now())
      }
    } catch (error) {
      // A logger that throws is not to leave anybody waiting.
      waiting.fail(error)
    }
    pump()
  }

  const pump = (): void => {
    for (const waiting of queue) {
      const { closedUntil } = gate
      if (closedUntil !== undefined) {
        refuse(waiting, closedUntil)
        continue
      }
      const helper = processes.current
      if (helper === undefined) {
        awaitProcess()
        return
      }
      if (threads?.helper !== helper) threads = { helper, busy: 0, stuck: 0 }
      if (threads.stuck >= threadsFor(maxConcurrent)) {
        helper.kill('the KDC held all of its threads')
        awaitProcess()
        return
      }
      if (threads.busy - threads.stuck >= maxConcurrent || threads.busy >= threadsFor(maxConcurrent)) return
      queue.delete(waiting)
      void send(waiting, threads)
    }
  }

  const place = <T>(
    traveller: string,
    signal: AbortSignal,
    request: (
      own: Threads,
      afterwards: (delivery: T | undefined) => void,
      /** Told how to say in the process that nobody waits any more. */
      given: (cancel: () => void) => void,
    ) => Promise<T>,
    unwanted: (delivery: T) => void,
  ): Promise<T> => {
    if (isClosed) return Promise.reject(closed())
    if (signal.aborted) return Promise.reject(signal.reason)
    return new Promise<T>((resolve, reject) => {
      let settled = false
      let cancel: (() => void) | undefined
      const settle = (): boolean => {
        if (settled) return false
        settled = true
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        queue.delete(waiting)
        open.delete(waiting)
        return true
      }
      const fail = (error: unknown): void => {
        if (!settle()) return
        cancel?.()
        reject(error)
      }
      const deliver = (delivery: T): void => {
        if (settle()) resolve(delivery)
        else unwanted(delivery)
      }
      const trip = async (own: Threads): Promise<TripOutcome> => {
        try {
          const delivery = await request(
            own,
            (overdue) => {
              own.busy--
              own.stuck--
              if (overdue !== undefined) unwanted(overdue)
              pump()
            },
            (how) => {
              cancel = how
            },
          )
          cancel = undefined
          own.busy--
          deliver(delivery)
          return 'answered'
        } catch (error) {
          const kind = error instanceof EngineError ? error.kind : undefined
          if (kind === 'late') own.stuck++
          else own.busy--
          const wasCancelled = settled
          if (kind !== 'late') cancel = undefined
          fail(error)
          // What was cancelled may not have asked the KDC at all.
          if (kind === 'failed') return wasCancelled ? 'unknown' : 'answered'
          return kind === 'late' && !own.helper.hung ? 'late' : 'unknown'
        }
      }
      const waiting: Waiting = { traveller, trip, fail }
      const abort = (): void => fail(signal.reason)
      const late = (): void => {
        const why = queue.has(waiting) ? 'no thread of the Kerberos process was free' : 'the KDC did not answer'
        fail(new EngineError('late', `${why} within ${deadline} ms`))
      }
      // An answer that has come while this process was busy is read first.
      const timer = setTimeout(() => setImmediate(late), deadline)
      signal.addEventListener('abort', abort, { once: true })
      queue.add(waiting)
      open.add(waiting)
      pump()
    })
  }

  return {
    obtain: (order, signal) =>
      place<Delivery>(
        order.user.name,
        signal,
        async ({ helper }, afterwards, given) => {
          const id = ++lastOrder
          given(() => void helper.call({ op: 'cancel', order: id }).catch(() => {}))
          const { ok } = await helper.call({ op: 'obtain', order: id, ...order }, undefined, (reply) =>
            afterwards(reply && { helper, answer: reply.ok }),
          )
          return { helper, answer: ok }
        },
        ({ helper, answer }) => {
          if (answer.ticket !== undefined) helper.call({ op: 'release', ticket: answer.ticket }).catch(() => {})
        },
      ),
    check: (signal) =>
      place<void>(
        '',
        signal,
        async ({ helper }, afterwards) => {
          await helper.call({ op: 'check' }, undefined, () => afterwards(undefined))
        },
        () => {},
      ),
    close: () => {
      isClosed = true
      for (const waiting of open) waiting.fail(closed())
    },
  }
}
