import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, retrieveOne, text } from './properties.ts'
import { faultError, faultOf, type Ref, refOf, returned } from './transport.ts'
import type { TaskOptions } from './types.ts'
import { VcenterError } from './vcenter-error.ts'
import { child, type Xml } from './xml.ts'

/** How long the first wait between two looks at a task is, and the longest, in milliseconds. */
const [FIRST_LOOK, LONGEST_WAIT] = [20, 1_000]

/**
 * Calls a method that starts a task, and waits until that is done. Returns the object that it made, if any. The task goes
 * on in vCenter where the wait ends before it.
 */
export async function runTask(
  to: Connection,
  method: string,
  self: Ref,
  parts: readonly Xml[],
  { signal, timeout = to.taskTimeout }: TaskOptions,
): Promise<Ref | undefined> {
  const deadline = performance.now() + timeout
  const task = refOf(returned(await to.call(method, self, parts, { signal }))[0])
  if (task === undefined) throw new VcenterError('ERR_VCENTER_PROTOCOL', `vCenter started no task for ${method}`)
  try {
    for (let wait = FIRST_LOOK; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
      const found = await retrieveOne(to, task, ['info.state', 'info.result', 'info.error'], { signal })
      const state = text(found, 'info.state')
      if (state === 'success') return refOf(found.properties.get('info.result'))
      if (state === 'error') throw faultError(faultOf(child(found.properties.get('info.error'), 'fault')), method)
      if (state === undefined) throw new VcenterError('ERR_VCENTER_DENIED', `how ${method} goes can't be seen`)
      const left = deadline - performance.now()
      if (left <= 0) throw new VcenterError('ERR_VCENTER_UNAVAILABLE', `${method} took too long, and goes on`)
      // Cut short where the signal aborts, for which the next look rejects.
      await delay(Math.min(wait, left), undefined, { signal }).catch(() => {})
    }
  } catch (error) {
    if (!(error instanceof VcenterError)) throw error
    const { code, message, fault, cause } = error
    throw new VcenterError(code, message, { fault, cause, begun: true })
  }
}
