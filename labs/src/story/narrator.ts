import { readFileSync } from 'node:fs'

/** A record as the audit file holds it: one JSON object per line. */
export type WrittenRecord = Readonly<Record<string, unknown>>

/** Tells the story on standard output, and counts what did not happen as told. */
export interface Narrator {
  readonly expectations: number
  readonly failures: number
  chapter(title: string): void
  say(text: string): void
  /**
   * Prints the audit records that are new since the last call, unless it is to be quiet, and returns them. Of a sealed
   * file the seals are none.
   */
  records(options?: { readonly quiet?: boolean | undefined }): readonly WrittenRecord[]
  /** Says what is expected, and whether it holds. */
  expect(what: string, holds: boolean): void
}

/** Narrates, and reads the audit records from `auditFile`, of which `columns` are printed. */
export function createNarrator(auditFile: string, columns: readonly string[]): Narrator {
  let expectations = 0
  let failures = 0
  let read = 0
  return {
    get expectations() {
      return expectations
    },
    get failures() {
      return failures
    },
    chapter: (title) => console.log(`\n${title}`),
    say: (text) => console.log(`  ${text}`),
    records({ quiet = false } = {}) {
      const lines = readFileSync(auditFile, 'utf8').split('\n').slice(0, -1)
      const written = lines.slice(read).map((line) => JSON.parse(line) as WrittenRecord)
      const records = written.filter(({ event }) => event !== undefined)
      read = lines.length
      if (records.length > 0 && !quiet) console.log(`\n${table(records, columns)}\n`)
      return records
    },
    expect(what, holds) {
      expectations++
      if (!holds) failures++
      console.log(`  ${holds ? 'ok    ' : 'FAILED'}  ${what}`)
    },
  }
}

/** The records in aligned columns; a column that is empty throughout is left out. */
function table(records: readonly WrittenRecord[], wanted: readonly string[]): string {
  const cell = (record: WrittenRecord, column: string): string => String(record[column] ?? '')
  const columns = wanted.filter((column) => records.some((record) => cell(record, column) !== ''))
  const rows = [columns, ...records.map((record) => columns.map((column) => cell(record, column)))]
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)))
  const line = (row: readonly string[]): string => row.map((text, index) => text.padEnd(widths[index] ?? 0)).join('  ')
  return rows.map((row) => `  | ${line(row)}`.trimEnd()).join('\n')
}
