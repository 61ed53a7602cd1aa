import type { AuditSink } from './audit.ts'
import { type BlockStore, memoryBlocks } from './blocks.ts'
import { checkMethods } from './checks.ts'
import { type Clock, systemClock } from './clock.ts'
import { type Logger, silentLog } from './log.ts'
import { checkDuration, type ModuleMap } from './module.ts'
import type { BackendDecides, Policy } from './policy.ts'

/** Options of a `DelegationRegistry`. */
export interface RegistryOptions<M extends ModuleMap> {
  /** Modules by the name under which tools ask for them; copied. */
  readonly modules: M
  /** Where every attempt is recorded. No audit, no credential. */
  readonly audit: AuditSink
  /** Who may call which tool and have which credential; `'backend-decides'` allows every verified user everything. */
  readonly policy: Policy | BackendDecides
  /** Default: in the memory of this process, lost at restart. */
  readonly blocks?: BlockStore | undefined
  readonly cache?: CacheOptions | undefined
  /** How long an issue, a check, a release, a block store or an audit sink may take, in milliseconds. Default: 10,000. */
  readonly deadline?: number | undefined
  /** Default: silent. */
  readonly log?: Logger | undefined
  /** Default: the machine's. */
  readonly clock?: Clock | undefined
}

/** Limits of the cache of issued credentials. */
export interface CacheOptions {
  /** How many credentials are cached. Default: 10,000. */
  readonly max?: number | undefined
  /** How many credentials of one user are cached. Default: 100. */
  readonly maxPerUser?: number | undefined
  /** How long a credential is cached at the most, in milliseconds. Default: 3,600,000 (one hour). */
  readonly maxAge?: number | undefined
}

/** Options with every default filled in. */
export interface CheckedOptions {
  readonly modules: ModuleMap
  readonly audit: AuditSink
  readonly policy: Policy | undefined
  readonly blocks: BlockStore
  readonly max: number
  readonly maxPerUser: number
  readonly maxAge: number
  readonly deadline: number
  readonly log: Logger
  readonly clock: Clock
}

/** @throws TypeError naming the option that is wrong. */
export function checkOptions(options: RegistryOptions<ModuleMap>): CheckedOptions {
  if (options === null || typeof options !== 'object') throw new TypeError('"options" must be an object')
  const { modules, audit, policy, blocks, cache = {}, deadline = 10_000, log = silentLog } = options
  const clock = options.clock ?? systemClock
  if (typeof audit !== 'function') throw new TypeError('"audit" must be a function')
  if (policy !== 'backend-decides') checkMethods(policy, 'policy', ['tool', 'delegation'], "'backend-decides' or ")
  if (blocks !== undefined) checkMethods(blocks, 'blocks', ['standing', 'block', 'unblock'])
  checkMethods(log, 'log', ['debug', 'info', 'warn', 'error'])
  checkMethods(clock, 'clock', ['now'])
  checkDuration(deadline, 'deadline')
  if (cache === null || typeof cache !== 'object') throw new TypeError('"cache" must be an object')
  const { max = 10_000, maxPerUser = 100, maxAge = 3_600_000 } = cache
  checkCount(max, 'cache.max')
  checkCount(maxPerUser, 'cache.maxPerUser')
  checkDuration(maxAge, 'cache.maxAge')
  return {
    modules,
    audit,
    policy: policy === 'backend-decides' ? undefined : policy,
    blocks: blocks ?? memoryBlocks({ clock }),
    max,
    maxPerUser,
    maxAge,
    deadline,
    log: unfailing(log),
    clock,
  }
}

/** A logger that fails must not change what becomes of a call. */
export function unfailing(log: Logger): Logger {
  const guarded = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      log[level](fields, message)
    } catch {}
  }
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') }
}

function checkCount(value: unknown, option: string): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 10_000_000))
    throw new TypeError(`"${option}" must be an integer from 1 to 10,000,000`)
}
