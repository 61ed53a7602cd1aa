import { setTimeout as pause } from 'node:timers/promises'
import { auditLogFiles } from '@mcp-delegation/core/audit'
import { type FollowedFile, followedFile, lastRecords } from './audit-file.ts'
import { byTime } from './by-time.ts'
import type { Command } from './command.ts'
import { type Entry, entryOf } from './entry.ts'
import { type EntryPrinter, entryPrinter } from './entry-printer.ts'
import { openedRegular } from './opened.ts'
import type { RawLine } from './raw-lines.ts'
import { readArguments, UsageError } from './usage.ts'

/** How often a file that is followed is looked at, in milliseconds. */
const POLL = 200

const OPTIONS = {
  lines: { type: 'string', short: 'n', default: '10' },
  follow: { type: 'boolean', short: 'f', default: false },
  json: { type: 'boolean', default: false },
} as const

/** The last records of audit logs. */
export const tail: Command = {
  summary: 'show the last records, and go on',
  help: `Usage: mcp-delegation audit tail [-n N] [--follow] [--json] FILE…

Shows the last records of the files, all together in the order of time, one line each. What the writer of a sealed log
adds, such as checkpoints, is left out. A line that is no record is shown as what it is, and counted.

  -n, --lines N   how many records (default: 10)
  -f, --follow    go on with what is written, also after a file was renamed and made anew, or truncated; a file that is
                  not there yet is waited for. Ends at Ctrl-C.
      --json      the records as JSON lines
`,
  async run(args, { out, err, interruption }) {
    const { values, positionals } = readArguments(args, OPTIONS)
    const { follow, json } = values
    if (!/^[0-9]{1,15}$/.test(values.lines)) throw new UsageError(`--lines must be a number, not '${values.lines}'`)
    if (positionals.length === 0) throw new UsageError('audit tail needs a FILE')
    const printer = entryPrinter(out, json)
    const files: OpenedFile[] = []
    const signal = follow ? interruption() : undefined
    try {
      for (const path of positionals) files.push(await openedAt(path, Number(values.lines), follow))
      await printLast(files, Number(values.lines), signal, printer)
      if (signal !== undefined) await printFresh(files, printer, () => out.flush(), signal)
      await printer.end(err)
      return 0
    } finally {
      for (const { file } of files) await file[Symbol.asyncDispose]()
    }
  },
}

interface OpenedFile {
  readonly path: string
  readonly file: FollowedFile
  /** How much is in it. */
  readonly size: number
  /** How many of the last records it has. */
  readonly found: number
}

async function openedAt(path: string, count: number, follow: boolean): Promise<OpenedFile> {
  const handle = await openedRegular(path, ': give it to audit filter').catch((error: UsageError) => {
    const cause = error.cause as NodeJS.ErrnoException | undefined
    if (follow && cause?.code === 'ENOENT') return undefined
    throw error
  })
  if (handle === undefined) {
    const before = await auditLogFiles(path).catch(() => [])
    return { path, file: followedFile(path, undefined, 0, before), size: 0, found: 0 }
  }
  const { size } = await handle.stat()
  const { start, found } = await lastRecords(handle, size, count)
  return { path, file: followedFile(path, handle, start), size, found }
}

async function printLast(
  files: readonly OpenedFile[],
  count: number,
  signal: AbortSignal | undefined,
  printer: EntryPrinter,
): Promise<void> {
  let surplus = files.reduce((sum, { found }) => sum + found, 0) - count
  for await (const entry of byTime(files.map((file) => lastEntries(file, signal !== undefined)))) {
    if (signal?.aborted) return
    if (entry.kind !== 'seal' && surplus-- <= 0) await show(entry, printer)
  }
}

async function* lastEntries({ path, file, size }: OpenedFile, follow: boolean): AsyncGenerator<Entry> {
  for await (const line of file.until(size)) yield entryOf(line, path)
  if (!follow) for (const line of file.rest()) yield entryOf(line, path)
}

async function printFresh(
  files: readonly OpenedFile[],
  printer: EntryPrinter,
  flush: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const { path, file } of files) {
      for await (const line of whileWanted(file.fresh(), signal)) await show(entryOf(line, path), printer)
    }
    await flush()
    await pause(POLL, undefined, { signal }).catch(() => {})
  }
}

async function* whileWanted(lines: AsyncGenerator<RawLine>, signal: AbortSignal): AsyncGenerator<RawLine> {
  for await (const line of lines) {
    if (signal.aborted) return
    yield line
  }
}

async function show(entry: Entry, printer: EntryPrinter): Promise<void> {
  if (entry.kind === 'record') await printer.print(entry)
  if (entry.kind === 'broken') await printer.broken(entry, true)
}
