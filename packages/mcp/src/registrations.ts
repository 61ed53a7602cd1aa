import type { OperationKind } from '@mcp-delegation/core'
import type { Untyped } from './handlers.ts'

/** What a method of a server answers that registers something. */
interface Registered {
  update(updates: { readonly callback?: Untyped | undefined }): void
}

/** Puts a handler under the guard. */
export type Under = (kind: OperationKind, name: string, handler: Untyped) => Untyped

/** Has a server's method register under the guard; the handler comes last, and may be replaced later. */
export function registersUnder(server: object, method: string, kind: OperationKind, under: Under): void {
  const methods = server as Record<string, Untyped>
  const register = methods[method]
  methods[method] = (name, ...rest) => {
    const guarded = (handler: Untyped): Untyped => under(kind, String(name), handler)
    const handler = rest.at(-1)
    const given = typeof handler === 'function' ? [...rest.slice(0, -1), guarded(handler as Untyped)] : rest
    const registered = register?.call(server, name, ...given) as Registered
    const { update } = registered
    registered.update = ({ callback, ...updates }) =>
      update(callback === undefined ? updates : { ...updates, callback: guarded(callback) })
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
