import {
  type Credential,
  DelegationError,
  type DelegationErrorCode,
  type InputOf,
  isDelegationError,
  type ModuleMap,
  type Session,
  type ToolRecord,
  type ValueOf,
} from '@mcp-delegation/core'
import type { Operations } from './operations.ts'
import type { Settings } from './options.ts'
import { auditedArguments, toolRecord } from './records.ts'

/** What a tool's handler is called with, besides its arguments. */
export interface ToolCall<M extends ModuleMap, Context> {
  /** The verified caller. */
  readonly session: Session
  /** Aborted when nobody waits for the result any more. Hand it on to the backend. */
  readonly signal: AbortSignal
  /**
   * A credential of the caller. It is a lease: dispose it when the backend has answered. What is not disposed when the
   * handler is done is disposed then, so don't hand it to work that outlives the call.
   */
  readonly delegate: <Name extends keyof M & string>(
    name: Name,
    request: InputOf<M[Name]>,
  ) => Promise<Credential<ValueOf<M[Name]>>>
  /** What the server library calls handlers with, for progress, logging and questions to the user. */
  readonly context: Context
}

/** A tool's error as the model sees it. */
export interface ToolError {
  [key: string]: unknown
  content: { type: 'text'; text: string }[]
  isError: true
  _meta: Record<string, unknown>
}

/** One call of a tool. */
export interface Invocation<Context> {
  readonly tool: string
  readonly args: unknown
  readonly signal: AbortSignal
  readonly context: Context
  /** Who calls; throws or rejects where nobody can be told. */
  readonly session: () => Session | Promise<Session>
}

/** Stands around every tool. */
export interface Guard<M extends ModuleMap> {
  /**
   * Runs `handler` for a session in good standing that may call the tool, and records the call, once. Never rejects,
   * but with an error for which `passes` answers what the call is recorded as.
   */
  run<Context, Result>(
    call: Invocation<Context>,
    handler: (args: never, call: ToolCall<M, Context>) => Promise<Result>,
    passes?: (error: unknown) => ToolRecord['outcome'] | undefined,
  ): Promise<Result | ToolError>
}

const META = 'mcp-delegation/'

/** The error as a result: its message is safe, its code is in `_meta`, where a program finds it. */
function toolError(error: DelegationError): ToolError {
  const { code, message, retryAfter, scopes } = error
  const _meta: Record<string, unknown> = { [`${META}code`]: code }
  if (retryAfter !== undefined) _meta[`${META}retryAfter`] = retryAfter.toISOString()
  if (scopes !== undefined) _meta[`${META}scopes`] = [...scopes]
  return { content: [{ type: 'text', text: message }], isError: true, _meta }
}

function failure(text: string): ToolError {
  return { content: [{ type: 'text', text }], isError: true, _meta: {} }
}

const URL_ELICITATION_REQUIRED = -32042

/** For errors by which a handler has the user open a page: control flow that the SDKs know, not a failure. */
export function asksForUrl(error: unknown): 'ok' | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, data } = error as {
    readonly code?: unknown
    readonly data?: { readonly elicitations?: unknown } | null
  }
  return code === URL_ELICITATION_REQUIRED && Array.isArray(data?.elicitations) ? 'ok' : undefined
}

const DENIALS: ReadonlySet<DelegationErrorCode> = new Set([
  'ERR_SESSION_INVALID',
  'ERR_SESSION_EXPIRED',
  'ERR_SESSION_BLOCKED',
  'ERR_SESSION_SCOPE',
  'ERR_TOOL_DENIED',
])

/** How a call ended that did not return. */
interface Failure {
  readonly outcome: ToolRecord['outcome']
  readonly code: DelegationErrorCode | undefined
  readonly reason: string | undefined
  /** Thrown on to the server library. */
  readonly thrown: { readonly error: unknown } | undefined
  readonly answer: ToolError | undefined
}

/** Leases of one call. */
class Leases {
  readonly #held: AsyncDisposable[] = []
  #ended = false

  add(lease: AsyncDisposable, onError: (error: unknown) => void): void {
    if (this.#ended) dispose(lease, onError)
    else this.#held.push(lease)
  }

  get ended(): boolean {
    return this.#ended
  }

  end(onError: (error: unknown) => void): void {
    this.#ended = true
    for (const lease of this.#held) dispose(lease, onError)
  }
}

function dispose(lease: AsyncDisposable, onError: (error: unknown) => void): void {
  lease[Symbol.asyncDispose]().then(undefined, onError)
}

/** The guard of one protected server. */
export function createGuard<M extends ModuleMap>(settings: Settings<M>, operations: Operations): Guard<M> {
  const { registry, log, clock } = settings

  function admit(tool: string, session: Session | undefined): Session {
    const standing = session === undefined ? 'ended' : registry.standing(session)
    if (standing === 'blocked') throw new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked')
    if (session === undefined || standing === 'ended')
      throw new DelegationError('ERR_SESSION_INVALID', 'the call has no session')
    if (clock.now() >= session.expiresAt.getTime())
      throw new DelegationError('ERR_SESSION_EXPIRED', 'the session has expired')
    const refusal = operations.refusal(tool, session)
    if (refusal !== undefined) throw refusal
    return session
  }

  const lost = (error: unknown): void => log.warn({ err: error }, 'a lease could not be given back')

  /** What becomes of a call whose handler, or whose admission, threw. */
  function judge(
    error: unknown,
    tool: string,
    signal: AbortSignal,
    admitted: boolean,
    passes: ((error: unknown) => ToolRecord['outcome'] | undefined) | undefined,
  ): Failure {
    const nothing = { code: undefined, thrown: undefined }
    // What was thrown may be anything, also something that throws when it is looked at.
    try {
      const passed = admitted ? passes?.(error) : undefined
      if (passed !== undefined)
        return { outcome: passed, code: undefined, reason: undefined, thrown: { error }, answer: undefined }
      if (isDelegationError(error)) {
        const { code, message: reason } = error
        log.debug({ err: error, tool }, 'a tool was refused')
        const outcome = !admitted && DENIALS.has(code) ? 'denied' : 'failed'
        return { outcome, code, reason, thrown: undefined, answer: toolError(error) }
      }
      if (signal.aborted) {
        const reason = 'the call was cancelled'
        return { ...nothing, outcome: 'failed', reason, answer: failure(reason) }
      }
    } catch {}
    log.error({ err: error, tool }, 'a tool failed')
    return { ...nothing, outcome: 'failed', reason: 'tool failed', answer: failure('tool failed') }
  }

  return {
    async run(call, handler, passes) {
      const { tool, args, signal, context } = call
      const startedAt = performance.now()
      // Before the handler can change them.
      const audited = auditedArguments(settings.auditedArguments.get(tool), args)
      const leases = new Leases()
      let session: Session | undefined
      let admitted = false
      let outcome: ToolRecord['outcome'] = 'ok'
      let code: DelegationErrorCode | undefined
      let reason: string | undefined
      let thrown: { readonly error: unknown } | undefined
      let answer: Awaited<ReturnType<typeof handler>> | ToolError | undefined
      try {
        const caller = call.session()
        session = caller instanceof Promise ? await caller : caller
        const own = admit(tool, session)
        admitted = true
        answer = await handler(args as never, {
          session: own,
          signal,
          context,
          delegate(name, request) {
            if (leases.ended) return Promise.reject(new DelegationError('ERR_SESSION_INVALID', 'the call is over'))
            const lease = registry.delegate(name, own, request, { signal, tool })
            lease.then(
              (held) => leases.add(held, lost),
              () => {},
            )
            return lease
          },
        })
        if ((answer as { isError?: unknown } | undefined)?.isError === true) outcome = 'failed'
      } catch (error) {
        const failed = judge(error, tool, signal, admitted, passes)
        ;({ outcome, code, reason, thrown, answer } = failed)
      } finally {
        leases.end(lost)
      }
      try {
        const durationMs = performance.now() - startedAt
        const event = { session, now: clock.now(), durationMs, code, reason }
        await registry.audit(toolRecord(event, tool, outcome, audited))
      } catch (error) {
        log.error({ err: error, tool }, 'a tool call could not be recorded')
        return toolError(new DelegationError('ERR_AUDIT_FAILED', 'the call could not be recorded'))
      }
      if (thrown !== undefined) throw thrown.error
      return answer as Awaited<ReturnType<typeof handler>>
    },
  }
}
