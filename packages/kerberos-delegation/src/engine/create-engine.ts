import type { Engine, EngineOptions } from './engine.ts'
import { heldTicket } from './held-ticket.ts'
import { type HelperCommand, helperCommand, startHelperProcess } from './helper-process.ts'
import { kdcGate } from './kdc-gate.ts'
import { kdcOrders, threadsFor } from './kdc-orders.ts'
import { succession } from './succession.ts'

/**
 * Runs the native side in a process of its own, which is started at the first order, replaced when it has gone or
 * hangs, and ended with the engine. `command` is another program to run, for tests.
 */
export function createEngine(options: EngineOptions, command: HelperCommand = helperCommand): Engine {
  const { principal, keytabPath, rules, maxConcurrent, profile, deadline, log } = options
  const start = { principal, keytabPath, rules, maxConcurrent: threadsFor(maxConcurrent) }
  const processes = succession(
    (events) => startHelperProcess({ command, profile, start, deadline, log, ...events }),
    log,
  )
  const orders = kdcOrders(options, processes, kdcGate(options))
  return {
    obtain: async (order, { signal }) => {
      const { helper, answer } = await orders.obtain(order, signal)
      return heldTicket(helper, answer)
    },
    check: ({ signal }) => orders.check(signal),
    dispose: () => {
      orders.close()
      return processes.end()
    },
  }
}
