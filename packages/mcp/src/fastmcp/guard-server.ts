import type { ModuleMap, OperationKind, Session } from '@mcp-delegation/core'
import type { FastMCP, InputPrompt, Resource, ResourceTemplate, Tool } from 'fastmcp'
import type { Members } from './protect-fastmcp.ts'

/** Whether a caller may use something; counts nothing and records nothing. */
export type Admits = (kind: OperationKind, name: string, session: Session | undefined) => Promise<boolean>

/**
 * Puts whatever the server is given from now on under the guard, unless its function is one of `own`. Completes nothing
 * for those who may not use it.
 */
export function guardServer<M extends ModuleMap>(
  server: FastMCP<Session>,
  members: Members<M>,
  own: WeakSet<object>,
  admits: Admits,
): FastMCP<Session> {
  const tool = (given: Tool<Session>): Tool<Session> => {
    const { name, execute, canAccess } = given
    if (own.has(execute)) return given
    const made = members.tool(name, (args: never, { context }) => Promise.resolve(execute(args, context)))
    return {
      ...given,
      ...(made as Tool<Session>),
      canAccess: (session) => made.canAccess(session) && (canAccess?.(session) ?? true),
    }
  }
  const resource = (given: Resource<Session>): Resource<Session> => {
    const { name, uri, load } = given
    if (own.has(load)) return given
    return { ...given, ...members.resource(name, uri, ({ session, context }) => load(session, context)) }
  }
  const template = (asked: ResourceTemplate<Session>): ResourceTemplate<Session> => {
    const given = completing('resource', asked, admits)
    const { name, uriTemplate, load } = given
    if (own.has(load)) return given
    const made = members.resourceTemplate(name, uriTemplate, (args: Record<string, string>, { session, context }) =>
      load(args, session, context),
    )
    return { ...given, ...made }
  }
  const prompt = (asked: InputPrompt<Session>): InputPrompt<Session> => {
    const given = completing('prompt', asked, admits)
    const { name, load } = given
    if (own.has(load)) return given
    return {
      ...given,
      ...members.prompt(name, (args: Parameters<typeof load>[0], { session, context }) => load(args, session, context)),
    }
  }
  front(server, 'addTool', 'addTools', tool)
  front(server, 'addResource', 'addResources', resource)
  front(server, 'addResourceTemplate', 'addResourceTemplates', template)
  front(server, 'addPrompt', 'addPrompts', prompt)
  return server
}

interface Completing {
  /** Called with the session last. */
  readonly complete?: (...given: unknown[]) => Promise<{ readonly values: readonly string[] }>
}

/** The same, its functions that complete arguments behind `admits`. */
function completing<Given extends { readonly name: string }>(kind: OperationKind, given: Given, admits: Admits): Given {
  const behind = <One extends object>(one: One): One => {
    const { complete } = one as Completing
    if (complete === undefined) return one
    const asked: Completing['complete'] = async (...args) =>
      (await admits(kind, given.name, args.at(-1) as Session | undefined)) ? complete(...args) : { values: [] }
    return { ...one, complete: asked }
  }
  const { arguments: list } = given as { readonly arguments?: readonly object[] }
  return behind({ ...given, ...(list && { arguments: list.map(behind) }) })
}

/** Stands in front of the method that adds one, and of the one that adds several. */
function front<Member>(server: FastMCP<Session>, one: string, several: string, under: (given: Member) => Member): void {
  const methods = server as unknown as Record<string, (given: unknown) => void>
  const add = methods[one]
  const addAll = methods[several]
  methods[one] = (given) => add?.call(server, under(given as Member))
  methods[several] = (given) => addAll?.call(server, (given as Member[]).map(under))
}
