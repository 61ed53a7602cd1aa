import type { IncomingMessage } from 'node:http'
import { DelegationError, type ModuleMap, type Session } from '@mcp-delegation/core'
import { type ContentResult, type Context, type FastMCP, type LoadContext, UserError } from 'fastmcp'
import { type Answer, toResponse } from '../answer.ts'
import { createGate } from '../gate.ts'
import { type Call, createGuard, type Passes } from '../guard.ts'
import { headOf } from '../node-http.ts'
import { operations } from '../operations.ts'
import { checkOptions, type ProtectOptions } from '../options.ts'
import type { Operation } from '../records.ts'
import { stdioSession } from '../stdio-session.ts'
import { transportSessions } from '../transport-session.ts'
import { type Admits, guardServer } from './guard-server.ts'

/** What a tool's `execute` is called with, besides its arguments. */
export type ToolCall<M extends ModuleMap> = Call<M, Context<Session>>

/** What `load` is called with, besides its arguments. fastmcp says nobody has left: `signal` is never aborted. */
export type LoadCall<M extends ModuleMap> = Call<M, LoadContext<Session> | undefined>

/** Members for fastmcp's `addTool`. */
export interface ProtectedTool<Args, Result> {
  readonly name: string
  readonly canAccess: (session: Session) => boolean
  readonly execute: (args: Args, context: Context<Session>) => Promise<Result | ContentResult>
}

/** Members for fastmcp's `addResource`. */
export interface ProtectedResource<Result> {
  readonly name: string
  readonly uri: string
  readonly load: (session?: Session, context?: LoadContext<Session>) => Promise<Result>
}

/** Members for fastmcp's `addResourceTemplate`. */
export interface ProtectedResourceTemplate<Args, Result> {
  readonly name: string
  readonly uriTemplate: string
  readonly load: (args: Args, session?: Session, context?: LoadContext<Session>) => Promise<Result>
}

/** Members for fastmcp's `addPrompt`. */
export interface ProtectedPrompt<Args, Result> {
  readonly name: string
  readonly load: (args: Args, session?: Session, context?: LoadContext<Session>) => Promise<Result>
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
   * Members for `addResource`. fastmcp has no way to hide a resource: it is listed, and refused when it is read. One
   * `resource` record for each reading. fastmcp's errors have no place for a code: the message says why.
   */
  resource<Result>(name: string, uri: string, load: (call: LoadCall<M>) => Promise<Result>): ProtectedResource<Result>
  /** Members for `addResourceTemplate`, as `resource`. The record's URI is the template with the arguments in it. */
  resourceTemplate<Args, Result>(
    name: string,
    uriTemplate: string,
    load: (args: Args, call: LoadCall<M>) => Promise<Result>,
  ): ProtectedResourceTemplate<Args, Result>
  /** Members for `addPrompt`, as `resource`; one `prompt` record for each use. */
  prompt<Args, Result>(
    name: string,
    load: (args: Args, call: LoadCall<M>) => Promise<Result>,
  ): ProtectedPrompt<Args, Result>
  /**
   * Puts what the server is given from now on under the guard where it is not made with `tool`, `resource`,
   * `resourceTemplate` or `prompt`, and answers the server. Arguments are completed for those who may use what they are for.
   */
  guard(server: FastMCP<Session>): FastMCP<Session>
  /**
   * Says which scopes a tool needs besides the base scopes; a caller who lacks one gets a tool error that names them.
   * @throws TypeError for what is not a scope, and where the tool was said to need other scopes.
   */
  scopes(name: string, ...scopes: readonly string[]): void
  /** The protected resource metadata where the request is for it, at either of its paths; undefined for any other. */
  metadata(request: Request): Response | undefined
}

/** What makes members for the server's `add` methods. */
export type Members<M extends ModuleMap> = Pick<
  ProtectedFastMcp<M>,
  'tool' | 'resource' | 'resourceTemplate' | 'prompt'
>

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
  const { metadata } = settings
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

  const admits: Admits = async (kind, name, session) => {
    try {
      return guard.admits(kind, name, await callerOf(session))
    } catch {
      return false
    }
  }

  const passes: Passes = (error) => (error instanceof UserError ? 'failed' : undefined)
  const own = new WeakSet<object>()
  const ours = <Member extends object>(member: Member): Member => {
    own.add(member)
    return member
  }

  /** A resource or a prompt under the guard. */
  function loading<Args extends object, Result>(
    operation: Operation,
    args: Args,
    session: Session | undefined,
    context: LoadContext<Session> | undefined,
    load: (args: Args, call: LoadCall<M>) => Promise<Result>,
  ): Promise<Result> {
    const { signal } = new AbortController()
    const call = { ...operation, args, signal, context, session: () => callerOf(session) }
    return guard.run(call, load, passes) as Promise<Result>
  }

  const members: Members<M> = {
    tool: (name, execute) => ({
      name,
      canAccess: (session) => required.refusal('tool', name, session)?.code !== 'ERR_TOOL_DENIED',
      execute: ours((args, context) => {
        const { signal, session } = context
        const call = { kind: 'tool', name, args, signal, context, session: () => callerOf(session) } as const
        return guard.run(call, execute, passes)
      }),
    }),

    resource: (name, uri, load) => ({
      name,
      uri,
      load: ours((session, context) =>
        loading({ kind: 'resource', name, uri }, {}, session, context, (_args, call) => load(call)),
      ),
    }),

    resourceTemplate: (name, uriTemplate, load) => ({
      name,
      uriTemplate,
      load: ours((args, session, context) => {
        const uri = filled(uriTemplate, args)
        return loading({ kind: 'resource', name, uri }, args as object, session, context, load as never)
      }),
    }),

    prompt: (name, load) => ({
      name,
      load: ours((args, session, context) =>
        loading({ kind: 'prompt', name }, args as object, session, context, load as never),
      ),
    }),
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

    ...members,

    guard: (server) => guardServer(server, members, own, admits),

    scopes(name, ...scopes) {
      required.require(name, scopes)
    },

    metadata(request) {
      const answer = metadata.answer(request.method, new URL(request.url).pathname)
      return answer && toResponse(answer)
    },
  }
}

const VARIABLE = /\{[+#./;?&]?(\w+)\*?\}/g

/** For audit: the template with its variables' values; what has none stays as it is written. */
function filled(uriTemplate: string, args: unknown): string {
  const values = (args ?? {}) as Readonly<Record<string, unknown>>
  return uriTemplate.replace(VARIABLE, (written, name: string) =>
    Object.hasOwn(values, name) ? encodeURI(String(values[name])) : written,
  )
}
