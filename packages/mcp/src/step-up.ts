import type { DelegationError, ModuleMap, Session } from '@mcp-delegation/core'
import type { Operations } from './operations.ts'
import type { Settings } from './options.ts'
import { type Operation, operationRecord } from './records.ts'

/**
 * Every scope that the operation needs, where the session lacks one of them; such a refusal is recorded. Undefined at
 * once where it lacks none.
 */
export type StepUp = (operation: Operation, session: Session) => Promise<readonly string[]> | undefined

/** Finds out before dispatch, while the answer can still be a challenge. */
export function createStepUp<M extends ModuleMap>(settings: Settings<M>, operations: Operations): StepUp {
  const { registry, log, clock } = settings

  async function record(operation: Operation, session: Session, refusal: DelegationError): Promise<void> {
    const { kind, name } = operation
    const { code, message: reason } = refusal
    const event = { session, now: clock.now(), durationMs: 0, code, reason }
    try {
      await registry.audit(operationRecord(event, operation, 'denied', {}))
    } catch (error) {
      log.error({ err: error, [kind]: name }, 'a refusal could not be recorded')
    }
  }

  return (operation, session) => {
    const refusal = operations.refusal(operation.kind, operation.name, session)
    if (refusal?.scopes === undefined) return undefined
    const { scopes } = refusal
    return record(operation, session, refusal).then(() => scopes)
  }
}
