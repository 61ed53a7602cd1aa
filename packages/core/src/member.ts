import { Admission } from './admission.ts'
import type { Clock } from './clock.ts'
import type { Counters } from './credential-cache.ts'
import { type AnyModule, checkModule, type ModuleChain, type ModuleMap } from './module.ts'
import { Principals } from './principals.ts'
import { keyOf } from './session.ts'

/** A module in its place in the registry. */
export interface Member {
  readonly module: AnyModule
  /** What every cache key of this place begins with. */
  readonly prefix: string
  readonly deadline: number
  readonly maxAge: number
  readonly admission: Admission
  readonly principals: Principals
  /** The module's own runs that have not settled, by cache key: also those that nobody waits for any more. */
  readonly running: Map<string, Promise<void>>
}

/** What is registered under one name: a module, or a list to walk. */
export interface Registered {
  readonly name: string
  readonly members: readonly Member[]
  readonly counters: Counters
}

/** What a module gets where it states nothing itself; times in milliseconds. */
export interface MemberDefaults {
  readonly deadline: number
  readonly maxAge: number
  readonly clock: Clock
}

const MAX_CONCURRENT = 8
const MAX_QUEUED = 1_000
const MAX_CONCURRENT_PER_USER = 2
const MAX_QUEUED_PER_USER = 20

const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/

/** @throws TypeError naming the module that is wrong. */
export function registerModules(modules: ModuleMap, defaults: MemberDefaults): ReadonlyMap<string, Registered> {
  if (modules === null || typeof modules !== 'object') throw new TypeError('"modules" must be an object')
  const registered = new Map<string, Registered>()
  for (const [name, entry] of Object.entries(modules)) {
    if (!NAME.test(name)) throw new TypeError('"modules" must have names of letters, digits, "_", "." and "-"')
    const list = isChain(entry) ? entry.firstMapped : [entry]
    registered.set(name, {
      name,
      members: list.map((module, index) => toMember(module, name, index, defaults)),
      counters: { entries: 0, leases: 0, hits: 0, misses: 0, refusals: 0 },
    })
  }
  return registered
}

function isChain(entry: ModuleMap[string]): entry is ModuleChain<readonly AnyModule[]> {
  return entry !== null && typeof entry === 'object' && 'firstMapped' in entry && Array.isArray(entry.firstMapped)
}

function toMember(module: AnyModule, name: string, index: number, defaults: MemberDefaults): Member {
  checkModule(module, `modules.${name}`)
  const { clock } = defaults
  return {
    module,
    prefix: keyOf(name, String(index)),
    deadline: module.deadline ?? defaults.deadline,
    maxAge: Math.min(module.maxAge ?? defaults.maxAge, defaults.maxAge),
    principals: new Principals(),
    running: new Map(),
    admission: new Admission(
      {
        maxConcurrent: module.maxConcurrent ?? MAX_CONCURRENT,
        maxQueued: module.maxQueued ?? MAX_QUEUED,
        maxConcurrentPerUser: MAX_CONCURRENT_PER_USER,
        maxQueuedPerUser: MAX_QUEUED_PER_USER,
      },
      clock,
    ),
  }
}
