import { AsyncLocalStorage, createHook } from 'node:async_hooks'

/** What was seen of everything that ran inside a watch. */
export interface Watch {
  /** Runs `work`, and sees what it and all that it starts does. */
  run<T>(work: () => T): T
  /** The functions through which something was printed. */
  readonly prints: readonly string[]
  /** Timers, sockets and processes that it started and that still keep the process alive. */
  alive(): readonly string[]
  stop(): void
}

interface Seen {
  readonly prints: string[]
  readonly handles: Map<number, { readonly type: string; readonly resource: { hasRef?(): boolean } }>
}

type Printer = (...args: readonly unknown[]) => unknown

const current = new AsyncLocalStorage<Seen>()
let restore: (() => void) | undefined
let watching = 0

const hook = createHook({
  init(id, type, _trigger, resource: { hasRef?(): boolean }) {
    const seen = current.getStore()
    if (seen !== undefined && typeof resource.hasRef === 'function') seen.handles.set(id, { type, resource })
  },
})

/** Watches what runs inside it, and nothing that other code of the process does meanwhile. */
export function watch(): Watch {
  const seen: Seen = { prints: [], handles: new Map() }
  if (watching++ === 0) {
    hook.enable()
    restore = listen()
  }
  let stopped = false
  return {
    run: (work) => current.run(seen, work),
    prints: seen.prints,
    alive: () => [...seen.handles.values()].filter(keepsAlive).map(({ type }) => type),
    stop() {
      if (stopped) return
      stopped = true
      if (--watching > 0) return
      hook.disable()
      restore?.()
    },
  }
}

function keepsAlive({ resource }: { readonly resource: { hasRef?(): boolean; _destroyed?: boolean } }): boolean {
  return resource._destroyed !== true && resource.hasRef?.() === true
}

/** Replaces what prints by functions that also take note, and returns how to put it back. */
function listen(): () => void {
  const undo: (() => void)[] = []
  const listenTo = (owner: object, name: string, label: string): void => {
    const members = owner as Record<string, Printer>
    const original = members[name]
    if (typeof original !== 'function') return
    const own = Object.hasOwn(owner, name)
    members[name] = function (this: unknown, ...args) {
      current.getStore()?.prints.push(label)
      return original.apply(this, [...args])
    }
    undo.push(() => {
      if (own) members[name] = original
      else delete members[name]
    })
  }
  listenTo(process.stdout, 'write', 'process.stdout.write')
  listenTo(process.stderr, 'write', 'process.stderr.write')
  for (const name of ['debug', 'dir', 'error', 'info', 'log', 'table', 'trace', 'warn'])
    listenTo(globalThis.console, name, `console.${name}`)
  return () => {
    for (const back of undo.reverse()) back()
  }
}
