import type { ModuleMap, Session } from '@mcp-delegation/core'
import type { Operations } from './operations.ts'
import type { Settings } from './options.ts'
import { toolRecord } from './records.ts'

/** Every scope that a call of this tool needs, where the session lacks one of them; such a refusal is recorded. */
export type StepUp = (tool: string, session: Session) => Promise<readonly string[] | undefined>

/** Finds out before dispatch, while the answer can still be a challenge. */
export function createStepUp<M extends ModuleMap>(settings: Settings<M>, operations: Operations): StepUp {
  const { registry, log, clock } = settings
  return async (tool, session) => {
    const refusal = operations.refusal(tool, session)
    if (refusal?.scopes === undefined) return undefined
    const { code, message: reason, scopes } = refusal
    const event = { session, now: clock.now(), durationMs: 0, code, reason }
    try {
      await registry.audit(toolRecord(event, tool, 'denied', {}))
    } catch (error) {
      log.error({ err: error, tool }, 'a refusal could not be recorded')
    }
    return scopes
  }
}
