import type { ModuleMap, OperationKind, Session } from '@mcp-delegation/core'
import { asksForUrl, type Call, type Guard, type Passes } from './guard.ts'
import type { Operation } from './records.ts'

/** Where the members of a call are in what a generation of the SDK calls handlers with. */
export interface Origin<Context> {
  /** @throws DelegationError where nobody can be told; a promise of it rejects. */
  session(context: Context): Session | Promise<Session>
  signal(context: Context): AbortSignal
  /** Errors by which an author answers a request, as the SDK has them. */
  isAnswer(error: unknown): boolean
}

/** A handler of a tool or a prompt as the SDKs take it; without a schema of its arguments it is called with the context alone. */
export interface Handler<Args, Context, Result> {
  (args: Args, context: Context): Promise<Result>
  (context: Context): Promise<Result>
}

/** The values of a template's variables in the URI that is read. */
export type Variables = Record<string, string | string[]>

/** What the handler of a resource is called with, besides the URI. */
export interface ResourceCall<M extends ModuleMap, Context> extends Call<M, Context> {
  /** Of the resource's template; empty where it has none. */
  readonly variables: Variables
}

/** A handler of a resource as the SDKs take it, of one with a fixed URI and of one with a template. */
export interface ResourceHandler<Context, Result> {
  (uri: URL, context: Context): Promise<Result>
  (uri: URL, variables: Variables, context: Context): Promise<Result>
}

/** A function or a method, whatever its overloads. */
export type Untyped = (...given: unknown[]) => unknown

/** Puts the guard around handlers. */
export interface Handlers<M extends ModuleMap, Context> {
  around<Args, Result>(
    kind: 'tool' | 'prompt',
    name: string,
    handler: (args: Args, call: Call<M, Context>) => Promise<Result>,
  ): Handler<Args, Context, Result>
  aroundResource<Result>(
    name: string,
    handler: (uri: URL, call: ResourceCall<M, Context>) => Promise<Result>,
  ): ResourceHandler<Context, Result>
  /** Puts the guard around a handler that an SDK was given, unless it has it already. */
  under(kind: OperationKind, name: string, handler: Untyped): Untyped
  /** Whether a handler that goes by this name has the guard around it. */
  has(operation: Operation): boolean
  /** Whether a handler with the guard around it was called with this context. */
  ran(context: Context): boolean
  /** For the guard of whatever is not a tool: what asks for a page, and the answers of its author, are thrown on. */
  readonly passes: NonNullable<Passes>
}

/** For one protected server, of either generation of the SDK. */
export function createHandlers<M extends ModuleMap, Context>(
  guard: Guard<M>,
  origin: Origin<Context>,
): Handlers<M, Context> {
  const guarded = { tool: new Set<string>(), resource: new Set<string>(), prompt: new Set<string>() }
  const own = new WeakSet<Untyped>()
  const called = new WeakSet<object>()
  const passes: Passes = (error) => asksForUrl(error) ?? (origin.isAnswer(error) ? 'failed' : undefined)
  const from = (context: Context) => {
    called.add(context as object)
    return { context, signal: origin.signal(context), session: () => origin.session(context) }
  }
  const ours = <Made extends Untyped>(made: Made): Made => {
    own.add(made)
    return made
  }

  return {
    around<Args, Result>(
      kind: 'tool' | 'prompt',
      name: string,
      handler: (args: Args, call: Call<M, Context>) => Promise<Result>,
    ): Handler<Args, Context, Result> {
      guarded[kind].add(name)
      const passing = kind === 'tool' ? asksForUrl : passes
      const made = (...given: [Args, Context] | [Context]): Promise<Result> => {
        const context = given.length === 1 ? given[0] : given[1]
        const args = given.length === 1 ? {} : given[0]
        // An error result of the guard is a result of every tool.
        return guard.run({ kind, name, args, ...from(context) }, handler, passing) as Promise<Result>
      }
      return ours(made as Untyped) as typeof made
    },

    aroundResource<Result>(
      name: string,
      handler: (uri: URL, call: ResourceCall<M, Context>) => Promise<Result>,
    ): ResourceHandler<Context, Result> {
      guarded.resource.add(name)
      const made = (...given: [URL, Context] | [URL, Variables, Context]): Promise<Result> => {
        const [uri] = given
        const context = given.length === 2 ? given[1] : given[2]
        const variables = given.length === 2 ? {} : given[1]
        const call = { kind: 'resource', name, uri: uri.href, args: uri, ...from(context) } as const
        const run = (_uri: URL, members: Call<M, Context>): Promise<Result> => handler(uri, { ...members, variables })
        return guard.run(call, run, passes) as Promise<Result>
      }
      return ours(made as Untyped) as typeof made
    },

    under(kind, name, handler) {
      if (own.has(handler)) return handler
      guarded[kind].add(name)
      const passing = kind === 'tool' ? asksForUrl : passes
      return ours((...given) => {
        const context = given.at(-1) as Context
        const args = given.length === 1 ? {} : given[0]
        const uri = kind === 'resource' ? String(args) : undefined
        return guard.run({ kind, name, uri, args, ...from(context) }, async () => handler(...given), passing)
      })
    },

    ran: (context) => called.has(context as object),
    has: ({ kind, name }) => guarded[kind].has(name),
    passes,
  }
}
