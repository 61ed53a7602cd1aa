import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { chooseClient, type FileIdentity, readKeytabFrom } from '../keytab.ts'
import { copyKeytab, type MemoryKeytab } from './native/keytab-memory.ts'
import { inStage, StageError } from './native/stages.ts'
import { type Shared, shared } from './shared.ts'

/** The keys of the service: a copy in memory of the file as it was when it was checked. */
export interface Keys {
  readonly name: string
  /** Until when a ticket-granting ticket that was made with these keys may be in use, in milliseconds since the epoch. */
  usableUntil: number
}

/** The keytab's file, and what was last read from it. */
export interface KeytabSource {
  readonly current: Shared<Keys>
  /** Looks for a new file, at most once per second; at once with `now`. True where there is one, and it is good. */
  refresh(options?: { readonly now?: boolean }): Promise<boolean>
}

/** How often the file is looked at, in milliseconds. */
const INTERVAL = 1000
/** Names of keytabs in memory are the process's. */
let count = 0

export interface KeytabSourceOptions {
  readonly path: string
  readonly principal: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Told once of each file that can't be used; the keys that are there are kept. */
  readonly report: (problem: string) => void
}

/** Rejects with {@link StageError} where the first file is of no use. */
export async function openKeytabSource({ path, principal, now, report }: KeytabSourceOptions): Promise<KeytabSource> {
  let seen: string | undefined
  let lookedAt = now()
  let refreshing: Promise<boolean> | undefined

  /** Keys of earlier files stay for as long as tickets may be made for them. */
  async function load(previous: Keys | undefined): Promise<Shared<Keys>> {
    let keytab: MemoryKeytab
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const checked = readKeytabFrom(file.fd, path)
      seen = identity(checked.identity)
      chooseClient(checked, [principal])
      const kept = previous !== undefined && previous.usableUntil > now() ? [previous.name] : []
      const sources = [`FILE:/proc/self/fd/${file.fd}`, ...kept]
      count++
      keytab = inStage('keytab', () => copyKeytab(`MEMORY:keys-${count}`, sources))
    } finally {
      await file.close()
    }
    const usableUntil = previous?.usableUntil ?? 0
    return shared<Keys>({ name: keytab.name, usableUntil }, () => keytab.close())
  }

  let current = await load(undefined).catch((cause: unknown) => {
    throw asFailure(cause)
  })

  async function look(): Promise<boolean> {
    lookedAt = now()
    try {
      const found = identity(await stat(path))
      if (found === seen) return false
      seen = found
      const next = await load(current.value)
      current.retire()
      current = next
      return true
    } catch (error) {
      if (isMissing(error)) {
        if (seen === undefined) return false
        seen = undefined
      }
      report(`the keytab was not replaced: ${asFailure(error).message}`)
      return false
    }
  }

  return {
    get current() {
      return current
    },
    refresh: async ({ now: atOnce = false } = {}) => {
      const age = now() - lookedAt
      if (!atOnce && age >= 0 && age < INTERVAL) return false
      refreshing ??= look().finally(() => {
        refreshing = undefined
      })
      return await refreshing
    },
  }
}

function identity({ mtimeMs, ino, dev, size }: FileIdentity): string {
  return `${mtimeMs} ${ino} ${dev} ${size}`
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

function asFailure(cause: unknown): StageError {
  if (cause instanceof StageError) return cause
  return new StageError({ stage: 'keytab', text: (cause as Error).message }, { cause })
}
