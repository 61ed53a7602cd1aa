import type { ModuleMap, Session } from '@mcp-delegation/core'
import type { Operations } from './operations.ts'
import type { Settings } from './options.ts'
import { type Operation, operationRecord } from './records.ts'

/** Every scope that the operation needs, where the session lacks one of them; such a refusal is recorded. */
export type StepUp = (operation: Operation, session: Session) => Promise<readonly string[] | undefined>

/** Finds out before dispatch, while the answer can still be a challenge. */
export function createStepUp<M extends ModuleMap>(settings: Settings<M>, operations: Operations): StepUp {
  const { registry, log, clock } = settings
  return async (operation, session) => {
    const { kind, name } = operation
    const refusal = operations.refusal(kind, name, session)
    if (refusal?.scopes === undefined) return undefined
    const { code, message: reason, scopes } = refusal
    const event = { session, now: clock.now(), durationMs: 0, code, reason }
    try {
      await registry.audit(operationRecord(event, operation, 'denied', {}))
    } catch (error) {
      log.error({ err: error, [kind]: name }, 'a refusal could not be recorded')
    }
    return scopes
  }
}
