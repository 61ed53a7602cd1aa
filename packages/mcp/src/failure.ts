import type { DelegationError, DelegationErrorCode } from '@mcp-delegation/core'

/** A tool's error as the model sees it. */
export interface ToolError {
  [key: string]: unknown
  content: { type: 'text'; text: string }[]
  isError: true
  _meta: Record<string, unknown>
}

/** What a program reads of an error: its code, when to come back, which scopes would be enough. */
type Details = Record<string, unknown>

const PREFIX = 'mcp-delegation/'

function detailsOf({ code, retryAfter, scopes }: DelegationError): Details {
  const details: Details = { [`${PREFIX}code`]: code }
  if (retryAfter !== undefined) details[`${PREFIX}retryAfter`] = retryAfter.toISOString()
  if (scopes !== undefined) details[`${PREFIX}scopes`] = [...scopes]
  return details
}

/** The error as a result: its message is safe, its code is in `_meta`, where a program finds it. */
export function toolError(error: DelegationError): ToolError {
  return { ...toolFailure(error.message), _meta: detailsOf(error) }
}

/** An error of which there is no more to say than `text`. */
export function toolFailure(text: string): ToolError {
  return { content: [{ type: 'text', text }], isError: true, _meta: {} }
}

/** @see https://www.jsonrpc.org/specification#error_object */
const INVALID_PARAMS = -32602
const INTERNAL_ERROR = -32603

/** What the SDKs send as a JSON-RPC error: they read these members of whatever a handler throws. */
export class RequestError extends Error {
  readonly code: number
  readonly data: Details | undefined

  constructor(code: number, message: string, data?: Details) {
    super(message)
    this.name = 'RequestError'
    this.code = code
    this.data = data
  }
}

/** The error as an answer to a request that has no results for errors: its message is safe, its code is in `data`. */
export function requestError(error: DelegationError): RequestError {
  const code = NOT_FOR_THE_CALLER.has(error.code) ? INVALID_PARAMS : INTERNAL_ERROR
  return new RequestError(code, error.message, detailsOf(error))
}

/** An error of which there is no more to say than `text`. */
export function requestFailure(text: string): RequestError {
  return new RequestError(INTERNAL_ERROR, text)
}

/** What a name that the caller may not use is answered with, as one that does not exist is. */
const NOT_FOR_THE_CALLER: ReadonlySet<DelegationErrorCode> = new Set(['ERR_SESSION_SCOPE', 'ERR_TOOL_DENIED'])
