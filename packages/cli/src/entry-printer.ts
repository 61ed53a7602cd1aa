import type { BrokenEntry, RecordEntry } from './entry.ts'
import type { Output } from './output.ts'
import { printableJson } from './printable.ts'
import { brokenLine, placeOf, readableLine } from './readable-line.ts'

/** Prints records, and counts the lines that are none. */
export interface EntryPrinter {
  print(entry: RecordEntry): Promise<void> | undefined
  /** Counts a line that is no record; one that is `shown` is printed where it stands. */
  broken(entry: BrokenEntry, shown: boolean): Promise<void> | undefined
  /** Says on standard error how many lines were no records, if there were any. */
  end(err: Output): Promise<void>
}

/** Readable lines, or with `json` the records as they are in the file. */
export function entryPrinter(out: Output, json: boolean): EntryPrinter {
  let count = 0
  let first: BrokenEntry | undefined
  return {
    print: (entry) => out.line(json ? printableJson(entry.text) : readableLine(entry)),
    broken: (entry, shown) => {
      count++
      first ??= entry
      return shown && !json ? out.line(brokenLine(entry)) : undefined
    },
    end: async (err) => {
      await out.flush()
      if (first === undefined) return
      const lines = count === 1 ? '1 line is no audit record' : `${count} lines are no audit records, the first`
      await err.line(`mcp-delegation: ${lines}: ${first.why}: ${placeOf(first)}`)
    },
  }
}
