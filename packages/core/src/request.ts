import { canonicalJson } from './canonical-json.ts'
import { DelegationError } from './errors.ts'
import type { AnyModule } from './module.ts'
import { isCleanText, printable } from './text.ts'

/** A request that the module's schema accepted. */
export interface CheckedRequest {
  readonly value: unknown
  /** Its canonical JSON. */
  readonly key: string
  readonly target: string
}

const MAX_TARGET_BYTES = 1024

function refused(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_INVALID_REQUEST', message, { cause })
}

/** @throws DelegationError `ERR_DELEGATION_INVALID_REQUEST`; its message names paths and never holds values. */
export function checkRequest(module: AnyModule, input: unknown): CheckedRequest {
  const result = module.request['~standard'].validate(input)
  if (result instanceof Promise) {
    result.catch(() => {})
    throw refused('the module validates requests asynchronously')
  }
  if (result.issues !== undefined) {
    const paths = result.issues.map(({ path }) => pathOf(path)).filter((path) => path !== '')
    const where = paths.length === 0 ? '' : `: ${[...new Set(paths)].slice(0, 5).join(', ')}`
    throw refused(`the request is not valid${where}`, new Error(result.issues.map((issue) => issue.message).join('; ')))
  }
  let key: string
  try {
    key = canonicalJson(result.value)
  } catch (cause) {
    throw refused(cause instanceof TypeError ? `the request ${cause.message}` : 'the request is not plain JSON', cause)
  }
  // What was checked, and nothing else: the output of a schema may have getters, and be changed by others.
  const value: unknown = JSON.parse(key)
  const target: unknown = module.target(value)
  if (!isCleanText(target, MAX_TARGET_BYTES)) throw refused('the request has no valid target')
  return { value, key, target }
}

function pathOf(path: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined): string {
  const keys = (path ?? []).map((segment) => String(typeof segment === 'object' ? segment.key : segment))
  return printable(keys.join('.'), 100)
}
