import { call, handleFrom, isConfig, nameOf, release } from './krb5.ts'
import { CREDS } from './layouts.ts'
import { type Address, RECORD, read, read32, SECOND, write, write32 } from './memory.ts'

const CC_END = -1765328242
const FORWARDABLE = 0x40000000

/** What a ticket in a cache says of itself. */
export interface TicketEntry {
  readonly client: string
  readonly server: string
  /** Milliseconds since the epoch. */
  readonly endsAt: number
  readonly forwardable: boolean
}

type Visit = (entry: TicketEntry) => 'copy' | undefined

/** Goes through the tickets of a cache; those that `visit` wants are copied to `to`, without their second ticket. */
function walk(from: Address, to: Address | undefined, visit: Visit): void {
  const cursor = handleFrom('cc_start_seq_get', from)
  write(SECOND, cursor)
  try {
    while (call('cc_next_cred', [from, SECOND, RECORD], CC_END) === 0) {
      try {
        const server = read(RECORD + CREDS.server)
        if (isConfig(server)) continue
        const entry = {
          client: nameOf(read(RECORD + CREDS.client)),
          server: nameOf(server),
          endsAt: read32(RECORD + CREDS.endtime) * 1000,
          forwardable: (read32(RECORD + CREDS.flags) & FORWARDABLE) !== 0,
        }
        if (visit(entry) === 'copy' && to !== undefined) storeAlone(to)
      } finally {
        release('free_cred_contents', RECORD)
      }
    }
  } finally {
    release('cc_end_seq_get', from, SECOND)
  }
}

/** Stores the ticket in RECORD. A second ticket would be evidence: it stays behind. */
function storeAlone(to: Address): void {
  const length = read32(RECORD + CREDS.secondTicketLength)
  const data = read(RECORD + CREDS.secondTicketData)
  write32(RECORD + CREDS.secondTicketLength, 0)
  write(RECORD + CREDS.secondTicketData, 0)
  try {
    call('cc_store_cred', [to, RECORD])
  } finally {
    write32(RECORD + CREDS.secondTicketLength, length)
    write(RECORD + CREDS.secondTicketData, data)
  }
}

/** The tickets of a cache. */
export function ticketsIn(name: string): readonly TicketEntry[] {
  const cache = handleFrom('cc_resolve', name)
  try {
    const found: TicketEntry[] = []
    walk(cache, undefined, (entry) => {
      found.push(entry)
      return undefined
    })
    return found
  } finally {
    release('cc_close', cache)
  }
}

/**
 * Copies one ticket alone, client and server as they are named, from one cache into another that is new, and that belongs
 * to the client. Answers with the ticket; undefined where there is none, and then nothing is written.
 */
export function copyTicket(from: string, to: string, client: string, server: string): TicketEntry | undefined {
  const source = handleFrom('cc_resolve', from)
  try {
    const owner = handleFrom('cc_get_principal', source)
    try {
      if (nameOf(owner) !== client) return undefined
      const target = handleFrom('cc_resolve', to)
      let copied: TicketEntry | undefined
      try {
        call('cc_initialize', [target, owner])
        walk(source, target, (entry) => {
          if (copied !== undefined || entry.client !== client || entry.server !== server) return undefined
          copied = entry
          return 'copy'
        })
      } finally {
        release(copied === undefined ? 'cc_destroy' : 'cc_close', target)
      }
      return copied
    } finally {
      release('free_principal', owner)
    }
  } finally {
    release('cc_close', source)
  }
}

/** Destroys a cache, and forgets its name; nothing where it is not there. */
export function destroyCache(name: string): void {
  release('cc_destroy', handleFrom('cc_resolve', name))
}
