import { isDelegationError, type Logger, type ModuleMap, type OperationKind } from '@mcp-delegation/core'
import { RequestError, requestError, requestFailure } from './failure.ts'
import type { Guard } from './guard.ts'
import type { Handlers, Origin } from './handlers.ts'
import type { Operations } from './operations.ts'
import type { Operation } from './records.ts'
import type { ResourceNames } from './resource-names.ts'

/** The requests of a server in front of whose handlers something stands. */
export const METHODS = [
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
] as const

export type Method = (typeof METHODS)[number]

/** Stands in front of a handler. */
export type Requests<Context> = (
  method: Method,
  params: unknown,
  context: Context,
  names: ResourceNames,
  handler: () => Promise<unknown>,
) => Promise<unknown>

interface Params {
  readonly name?: unknown
  readonly uri?: unknown
  readonly arguments?: unknown
  readonly ref?: { readonly type?: unknown; readonly name?: unknown; readonly uri?: unknown }
}

type Item = Readonly<Record<string, unknown>>

/**
 * Shows in lists what the caller may use, and what more scopes would let them use. Calls of what has no guard of its own
 * run under one here, and refusals come before anything of the server looks at the request.
 */
export function createRequests<M extends ModuleMap, Context>(
  operations: Operations,
  guard: Guard<M>,
  handlers: Pick<Handlers<M, Context>, 'has' | 'passes' | 'ran'>,
  origin: Origin<Context>,
  log: Logger,
): Requests<Context> {
  /** Errors that are safe to show, of what is not recorded. */
  async function safely<Result>(what: string, run: () => Result | Promise<Result>): Promise<Result> {
    try {
      return await run()
    } catch (error) {
      if (isDelegationError(error)) throw requestError(error)
      if (error instanceof RequestError || handlers.passes(error) !== undefined) throw error
      log.error({ err: error }, `${what} failed`)
      throw requestFailure(`${what} failed`)
    }
  }

  async function listed(
    context: Context,
    member: string,
    kind: OperationKind,
    nameOf: (item: Item) => string,
    handler: () => Promise<unknown>,
  ): Promise<unknown> {
    return await safely('the list', async () => {
      const session = guard.enter(await origin.session(context))
      const result = (await handler()) as Record<string, unknown>
      const items = result[member]
      const shown = (item: Item): boolean => operations.refusal(kind, nameOf(item), session)?.code !== 'ERR_TOOL_DENIED'
      return { ...result, [member]: Array.isArray(items) ? items.filter(shown) : [] }
    })
  }

  async function admits({ kind, name }: Operation, context: Context): Promise<boolean> {
    try {
      return guard.admits(kind, name, await origin.session(context))
    } catch {
      return false
    }
  }

  /** The handler's own guard does the rest where it has one; refusals are the guard's here, records included. */
  async function used(
    operation: Operation,
    args: unknown,
    context: Context,
    handler: () => Promise<unknown>,
  ): Promise<unknown> {
    if (!handlers.has(operation) || !(await admits(operation, context))) return run(operation, args, context, handler)
    const ended = await settled(handler)
    // A call that the server refuses itself, as for its arguments, has met no guard that counts and records it.
    return handlers.ran(context) ? ended() : run(operation, args, context, async () => ended())
  }

  /** What is not recorded, unless it is refused. */
  async function looked(operation: Operation, context: Context, handler: () => Promise<unknown>): Promise<unknown> {
    const look = (): Promise<unknown> => safely('the request', handler)
    return (await admits(operation, context)) ? look() : run(operation, undefined, context, look)
  }

  function run(
    operation: Operation,
    args: unknown,
    context: Context,
    handler: () => Promise<unknown>,
  ): Promise<unknown> {
    const session = () => origin.session(context)
    return guard.run({ ...operation, args, context, signal: origin.signal(context), session }, handler, handlers.passes)
  }

  return (method, params, context, names, handler) => {
    const { name, uri, ref, arguments: args } = (params ?? {}) as Params
    const nameOf = (item: Item): string => String(item['name'])
    const resource = (given: unknown): Operation => {
      const text = String(given)
      return { kind: 'resource', name: names.of(text), uri: text }
    }
    const call = (operation: Operation): Promise<unknown> => used(operation, args, context, handler)
    const look = (operation: Operation): Promise<unknown> => looked(operation, context, handler)

    switch (method) {
      case 'tools/list':
        return listed(context, 'tools', 'tool', nameOf, handler)
      case 'prompts/list':
        return listed(context, 'prompts', 'prompt', nameOf, handler)
      case 'resources/list':
        return listed(context, 'resources', 'resource', (item) => names.of(String(item['uri'])), handler)
      case 'resources/templates/list': {
        const named = (item: Item): string => {
          const text = String(item['uriTemplate'])
          return names.ofTemplate(text) ?? text
        }
        return listed(context, 'resourceTemplates', 'resource', named, handler)
      }
      case 'tools/call':
        return call({ kind: 'tool', name: String(name) })
      case 'prompts/get':
        return call({ kind: 'prompt', name: String(name) })
      case 'resources/read':
        return call(resource(uri))
      case 'resources/subscribe':
        return look(resource(uri))
      case 'completion/complete': {
        if (ref?.type === 'ref/prompt') return look({ kind: 'prompt', name: String(ref.name) })
        const text = String(ref?.uri)
        return look({ kind: 'resource', name: names.ofTemplate(text) ?? names.of(text), uri: text })
      }
    }
  }
}

/** What answers, or throws, as `work` did. */
function settled<Result>(work: () => Promise<Result>): Promise<() => Result> {
  return work().then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error
    },
  )
}

/** Whether something stands in front of this method's handler. */
export function isMethod(method: unknown): method is Method {
  return (METHODS as readonly unknown[]).includes(method)
}

const GUARDED = Symbol('guarded')

/** Marks what stands in front of a server's `setRequestHandler`, on behalf of `owner`. */
export function asGuarded<Front extends object>(front: Front, owner: object): Front {
  return Object.assign(front, { [GUARDED]: owner })
}

/**
 * Whether something stands there already.
 * @throws TypeError where it is not the owner's: only one of two policies would count.
 */
export function isGuarded({ setRequestHandler }: { readonly setRequestHandler: object }, owner: object): boolean {
  const known = (setRequestHandler as { readonly [GUARDED]?: object })[GUARDED]
  if (known !== undefined && known !== owner) throw new TypeError('"server" must not be under another guard')
  return known !== undefined
}

/** By which an SDK serves the tasks that it is given a store for: whoever knows, or is listed, a task has its result. */
const TASKS = ['tasks/list', 'tasks/get', 'tasks/result', 'tasks/cancel'] as const

/** @throws TypeError for a server that has a handler which nothing could be put in front of any more. */
export function checkUnused(server: {
  assertCanSetRequestHandler(method: Method | (typeof TASKS)[number]): void
}): void {
  const check = (methods: readonly (Method | (typeof TASKS)[number])[], must: string): void => {
    try {
      for (const method of methods) server.assertCanSetRequestHandler(method)
    } catch (cause) {
      throw new TypeError(`"server" must ${must}`, { cause })
    }
  }
  check(METHODS, 'be new: nothing registered yet, and no tools, resources or prompts in its capabilities')
  check(TASKS, 'have no "taskStore": its tasks are not those of their users alone')
}
