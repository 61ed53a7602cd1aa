import type { IncomingMessage } from 'node:http'
import { DelegationError, type ModuleMap, type Session } from '@mcp-delegation/core'
import { type ContentResult, type Context, UserError } from 'fastmcp'
import { type Answer, toResponse } from '../answer.ts'
import { createGate } from '../gate.ts'
import { createGuard, type ToolCall as GuardedCall } from '../guard.ts'
import { headOf } from '../node-http.ts'
import { operations } from '../operations.ts'
import { checkOptions, type ProtectOptions } from '../options.ts'
import { stdioSession } from '../stdio-session.ts'
import { transportSessions } from '../transport-session.ts'

/** What a tool's `execute` is called with, besides its arguments. */
export type ToolCall<M extends ModuleMap> = GuardedCall<M, Context<Session>>

/** Members for fastmcp's `addTool`. */
export interface ProtectedTool<Args, Result> {
  readonly name: string
  readonly canAccess: (session: Session) => boolean
  readonly execute: (args: Args, context: Context<Session>) => Promise<Result | ContentResult>
}

/** A protected fastmcp server. */
export interface ProtectedFastMcp<M extends ModuleMap> {
  /**
   * For the `authenticate` option of `FastMCP`: the session of a request, or of the process on stdio.
   * Rejects with the `Response` that refuses the request.
   */
  authenticate(request: IncomingMessage | undefined): Promise<Session>
  /**
   * Members for `addTool`. `canAccess` hides what the policy does not allow; `execute` stands around the tool: a session
   * in good standing, the policy, one audit record per call, and errors that are safe to show. fastmcp's `UserError`
   * reaches the user as it is, a `DelegationError` with its code in `_meta["mcp-delegation/code"]`; any other error
   * becomes "tool failed" and goes to the log. Leases that are left open are disposed when the tool is done.
   */
  tool<Args, Result>(
    name: string,
    execute: (args: Args, call: ToolCall<M>) => Promise<Result>,
  ): ProtectedTool<Args, Result>
  /**
   * Says which scopes a tool needs besides the base scopes; a caller who lacks one gets a tool error that names them.
   * @throws TypeError for what is not a scope, and where the tool was said to need other scopes.
   */
  scopes(name: string, ...scopes: readonly string[]): void
  /** The protected resource metadata where the request is for it, at either of its paths; undefined for any other. */
  metadata(request: Request): Response | undefined
}

/**
 * What keeps a stream open between requests: the old transport's GET, whose messages then carry no token. The stateless
 * server has no use for it.
 */
const NO_STREAM: Answer = { status: 405, headers: { allow: 'POST' }, body: undefined }

/**
 * Protects a server made with fastmcp; start it with `httpStream: { stateless: true }`, so that every request is
 * verified by itself. Transport sessions, and the stream of the old HTTP+SSE transport, are refused.
 * @throws TypeError naming the option that is wrong.
 */
export function protectFastMcp<const M extends ModuleMap>(options: ProtectOptions<M>): ProtectedFastMcp<M> {
  const settings = checkOptions(options)
  const { registry, metadata } = settings
  const gate = createGate(settings, transportSessions())
  const required = operations(settings)
  const guard = createGuard(settings, required)
  const onStdio = stdioSession(settings)
  const verified = new WeakSet<Session>()
  const local = new WeakSet<Session>()
  let isLocal = false

  const callerOf = (session: Session | undefined): Session | Promise<Session> => {
    if (session !== undefined && verified.has(session)) return session
    // Where the login at the start of the process failed, fastmcp goes on without a session; over HTTP it never does.
    if (session === undefined ? isLocal : local.has(session)) return onStdio()
    throw new DelegationError('ERR_SESSION_INVALID', 'the call has no session')
  }

  return {
    async authenticate(request) {
      if (request === undefined) {
        isLocal = true
        const session = await onStdio()
        local.add(session)
        return session
      }
      if (request.method === 'GET') throw toResponse(NO_STREAM)
      const admitted = await gate.admit(headOf(request))
      if ('status' in admitted) throw toResponse(admitted)
      verified.add(admitted.session)
      return admitted.session
    },

    tool<Args, Result>(
      name: string,
      execute: (args: Args, call: ToolCall<M>) => Promise<Result>,
    ): ProtectedTool<Args, Result> {
      return {
        name,
        canAccess(session) {
          const decision = registry.decide(session, name)
          return decision.allowed || (decision.scopes !== undefined && decision.scopes.length > 0)
        },
        execute(args, context) {
          const { signal, session } = context
          const call = { tool: name, args, signal, context, session: () => callerOf(session) }
          return guard.run(call, execute, (error) => (error instanceof UserError ? 'failed' : undefined))
        },
      }
    },

    scopes(name, ...scopes) {
      required.require(name, scopes)
    },

    metadata(request) {
      const answer = metadata.answer(request.method, new URL(request.url).pathname)
      return answer && toResponse(answer)
    },
  }
}
