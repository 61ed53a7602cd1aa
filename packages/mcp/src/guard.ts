import {
  type Credential,
  DelegationError,
  type DelegationErrorCode,
  type InputOf,
  isDelegationError,
  type ModuleMap,
  type OperationKind,
  type Session,
  type ToolRecord,
  type ValueOf,
} from '@mcp-delegation/core'
import { requestError, requestFailure, type ToolError, toolError, toolFailure } from './failure.ts'
import type { Operations } from './operations.ts'
import type { Settings } from './options.ts'
import { auditedArguments, type Operation, operationRecord } from './records.ts'

/** What a handler is called with, besides its arguments. */
export interface Call<M extends ModuleMap, Context> {
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

/** One call of a tool, reading of a resource, or use of a prompt. */
export interface Invocation<Context> extends Operation {
  readonly args: unknown
  readonly signal: AbortSignal
  readonly context: Context
  /** Who calls; throws or rejects where nobody can be told. */
  readonly session: () => Session | Promise<Session>
}

/** Answers what a call is recorded as whose handler threw something that is to be thrown on. */
export type Passes = ((error: unknown) => ToolRecord['outcome'] | undefined) | undefined

/** Stands around every tool, resource and prompt. */
export interface Guard<M extends ModuleMap> {
  /**
   * The session, where it is in good standing.
   * @throws DelegationError where it is not.
   */
  enter(session: Session | undefined): Session
  /** Whether the session is in good standing and may use this. Counts nothing and records nothing. */
  admits(kind: OperationKind, name: string, session: Session): boolean
  /**
   * Runs `handler` for a session in good standing that may use this, and records that, once. Of a tool it never rejects,
   * of a resource or a prompt with a `RequestError`; but errors that `passes` knows are thrown on.
   */
  run<Context, Result>(
    call: Invocation<Context>,
    handler: (args: never, call: Call<M, Context>) => Promise<Result>,
    passes?: Passes,
  ): Promise<Result | ToolError>
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
  'ERR_RATE_LIMITED',
])

/** How a call ended that did not return. */
interface Failure {
  readonly outcome: ToolRecord['outcome']
  readonly code?: DelegationErrorCode
  readonly reason?: string
  /** Thrown on to the server library. */
  readonly thrown?: { readonly error: unknown }
  readonly answer?: ToolError
}

/** The two ways to answer with an error: tools have results for it, resources and prompts have not. */
function answerTo(kind: OperationKind, error: DelegationError | string): Pick<Failure, 'thrown' | 'answer'> {
  if (kind === 'tool') return { answer: typeof error === 'string' ? toolFailure(error) : toolError(error) }
  return { thrown: { error: typeof error === 'string' ? requestFailure(error) : requestError(error) } }
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

  function enter(session: Session | undefined): Session {
    const standing = session === undefined ? 'ended' : registry.standing(session)
    if (standing === 'blocked') throw new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked')
    if (session === undefined || standing === 'ended')
      throw new DelegationError('ERR_SESSION_INVALID', 'the call has no session')
    if (clock.now() >= session.expiresAt.getTime())
      throw new DelegationError('ERR_SESSION_EXPIRED', 'the session has expired')
    return session
  }

  const lost = (error: unknown): void => log.warn({ err: error }, 'a lease could not be given back')

  /** What becomes of a call whose handler, or whose admission, threw. */
  function judge(
    error: unknown,
    { kind, name, signal }: Invocation<unknown>,
    admitted: boolean,
    passes: Passes,
  ): Failure {
    // What was thrown may be anything, also something that throws when it is looked at.
    try {
      const passed = admitted ? passes?.(error) : undefined
      if (passed !== undefined) return { outcome: passed, thrown: { error } }
      if (isDelegationError(error)) {
        const { code, message: reason } = error
        log.debug({ err: error, [kind]: name }, `a ${kind} was refused`)
        const outcome = !admitted && DENIALS.has(code) ? 'denied' : 'failed'
        return { outcome, code, reason, ...answerTo(kind, error) }
      }
      if (signal.aborted) {
        const reason = 'the call was cancelled'
        return { outcome: 'failed', reason, ...answerTo(kind, reason) }
      }
    } catch {}
    log.error({ err: error, [kind]: name }, `a ${kind} failed`)
    const reason = `${kind} failed`
    return { outcome: 'failed', reason, ...answerTo(kind, reason) }
  }

  return {
    enter,

    admits(kind, name, session) {
      try {
        return operations.refusal(kind, name, enter(session)) === undefined
      } catch {
        return false
      }
    },

    async run(call, handler, passes) {
      const { kind, name, args, signal, context } = call
      const startedAt = performance.now()
      // Before the handler can change them.
      const audited = auditedArguments(settings.auditedArguments.get(name), args)
      const tool = kind === 'tool' ? name : undefined
      const leases = new Leases()
      let session: Session | undefined
      let admitted = false
      let ended: Failure = { outcome: 'ok' }
      let answer: Awaited<ReturnType<typeof handler>> | undefined
      try {
        const caller = call.session()
        session = caller instanceof Promise ? await caller : caller
        const own = enter(session)
        const refusal = operations.refusal(kind, name, own)
        if (refusal !== undefined) throw refusal
        registry.count(own, name, kind)
        admitted = true
        answer = await handler(args as never, {
          session: own,
          signal,
          context,
          delegate(module, request) {
            if (leases.ended) return Promise.reject(new DelegationError('ERR_SESSION_INVALID', 'the call is over'))
            const lease = registry.delegate(module, own, request, { signal, tool })
            lease.then(
              (held) => leases.add(held, lost),
              () => {},
            )
            return lease
          },
        })
        if ((answer as { isError?: unknown } | undefined)?.isError === true) ended = { outcome: 'failed' }
      } catch (error) {
        ended = judge(error, call, admitted, passes)
      } finally {
        leases.end(lost)
      }
      try {
        const durationMs = performance.now() - startedAt
        const event = { session, now: clock.now(), durationMs, code: ended.code, reason: ended.reason }
        await registry.audit(operationRecord(event, call, ended.outcome, audited))
      } catch (error) {
        log.error({ err: error, [kind]: name }, `the use of a ${kind} could not be recorded`)
        ended = {
          outcome: 'failed',
          ...answerTo(kind, new DelegationError('ERR_AUDIT_FAILED', 'the call could not be recorded')),
        }
      }
      if (ended.thrown !== undefined) throw ended.thrown.error
      return ended.answer ?? (answer as Awaited<ReturnType<typeof handler>>)
    },
  }
}
