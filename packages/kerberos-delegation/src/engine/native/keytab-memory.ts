import { call, handleFrom, nameOf, release } from './krb5.ts'
import { KEYTAB_ENTRY } from './layouts.ts'
import { type Address, RECORD, read, read32, SECOND, write } from './memory.ts'

const KT_END = -1765328202

/** A keytab in memory. It lives until it is closed. */
export interface MemoryKeytab {
  /** For the libraries, in every thread. */
  readonly name: string
  close(): void
}

/**
 * Copies the entries of `sources` into a keytab in memory. Of entries with the same principal, key version and encryption
 * type the first one is taken.
 * @throws Krb5Error
 */
export function copyKeytab(name: string, sources: readonly string[]): MemoryKeytab {
  const keytab = handleFrom('kt_resolve', name)
  const taken = new Set<string>()
  try {
    for (const source of sources) copyEntries(source, keytab, taken)
  } catch (error) {
    release('kt_close', keytab)
    throw error
  }
  return { name, close: () => release('kt_close', keytab) }
}

function copyEntries(source: string, to: Address, taken: Set<string>): void {
  const from = handleFrom('kt_resolve', source)
  try {
    const cursor = handleFrom('kt_start_seq_get', from)
    write(SECOND, cursor)
    try {
      while (call('kt_next_entry', [from, RECORD, SECOND], KT_END) === 0) {
        try {
          const kvno = read32(RECORD + KEYTAB_ENTRY.kvno)
          const key = `${kvno} ${read32(RECORD + KEYTAB_ENTRY.enctype)} ${nameOf(read(RECORD + KEYTAB_ENTRY.principal))}`
          if (!taken.has(key)) call('kt_add_entry', [to, RECORD])
          taken.add(key)
        } finally {
          release('free_keytab_entry_contents', RECORD)
        }
      }
    } finally {
      release('kt_end_seq_get', from, SECOND)
    }
  } finally {
    release('kt_close', from)
  }
}
