import type { OperationKind } from '@mcp-delegation/core'
import type { Untyped } from './handlers.ts'

/** What a method of a server answers that registers something. */
interface Registered {
  update(updates: { readonly name?: string | null | undefined; readonly callback?: Untyped | undefined }): void
}

/** Puts a handler under the guard. */
export type Under = (kind: OperationKind, name: string, handler: Untyped) => Untyped

/** Has a server's method register under the guard; the handler comes last, and may be replaced or renamed later. */
export function registersUnder(server: object, method: string, kind: OperationKind, under: Under): void {
  const methods = server as Record<string, Untyped>
  const register = methods[method]
  methods[method] = (given, ...rest) => {
    const handler = rest.at(-1)
    if (typeof handler !== 'function') return register?.call(server, given, ...rest)
    let known = { name: String(given), handler: handler as Untyped }
    const guarded = under(kind, known.name, known.handler)
    const registered = register?.call(server, given, ...rest.slice(0, -1), guarded) as Registered
    const { update } = registered
    registered.update = (updates) => {
      const { name, callback = known.handler } = updates
      // A resource stays what it was registered as, to the policy.
      const moved = kind === 'resource' ? known.name : (name ?? known.name)
      if (callback === known.handler && moved === known.name) return update(updates)
      known = { name: moved, handler: callback }
      update({ ...updates, callback: under(kind, moved, callback) })
    }
    return registered
  }
}

/** A server's handler for whatever it has no handler for. */
interface Falling {
  fallbackRequestHandler?: Untyped
}

/** Has the handler for whatever has none, the one that is there and any that comes, stand behind `front`. */
export function fallsBackTo(server: object, front: (handler: Untyped) => Untyped): void {
  const falling = server as Falling
  let handler = falling.fallbackRequestHandler && front(falling.fallbackRequestHandler)
  Object.defineProperty(server, 'fallbackRequestHandler', {
    get: () => handler,
    set: (given: Untyped | undefined) => {
      handler = given && front(given)
    },
    configurable: true,
    enumerable: true,
  })
}
