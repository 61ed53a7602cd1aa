import { chunksOf } from './audit-file.ts'
import { byTime } from './by-time.ts'
import type { Command } from './command.ts'
import { CONDITIONS, matching } from './conditions.ts'
import { type Entry, entryOf } from './entry.ts'
import { entryPrinter } from './entry-printer.ts'
import { opened } from './opened.ts'
import { lineSplitter } from './raw-lines.ts'
import { readArguments, UsageError } from './usage.ts'

const OPTIONS = { ...CONDITIONS, json: { type: 'boolean', default: false } } as const

/** The records of audit logs that meet conditions. */
export const filter: Command = {
  summary: 'show the records that meet conditions',
  help: `Usage: mcp-delegation audit filter [CONDITION]… [--json] FILE…

Shows the records of the files that meet every condition, all together in the order of time, one line each. FILE may be
-, for standard input. A condition that is given several times is met by any of its values; values are compared exactly.
Lines that are no records are left out, and counted.

      --event EVENT          delegation, refresh, tool, resource, prompt, authentication, export, block, …
      --outcome OUTCOME      issued, reused, refused, failed, aborted, ok, denied, exported
      --issuer ISSUER        who: the identity provider, …
      --subject SUBJECT      … and the user's name there
      --session ID           the session, as records name it
      --tool, --resource, --prompt NAME
                             what was called, read or used
      --module NAME          the name under which a module is registered
      --target TARGET        the backend
      --principal PRINCIPAL  whom the backend sees
      --code CODE            why not, such as ERR_DELEGATION_DENIED
      --since, --until TIME  when: 2026-01-31T10:00:00Z, 2026-01-31 (from midnight UTC), or 90s, 5m, 2h, 7d, 4w ago
      --json                 the records as JSON lines
`,
  async run(args, { out, err, stdin, now }) {
    const { values, positionals } = readArguments(args, OPTIONS)
    const { json, ...conditions } = values
    const isMeant = matching(conditions, now())
    if (positionals.length === 0) throw new UsageError('audit filter needs a FILE, or - for standard input')
    const printer = entryPrinter(out, json)
    const sources: Source[] = []
    try {
      for (const path of positionals) sources.push(await sourceOf(path, stdin))
      for await (const entry of byTime(sources.map(entriesOf))) {
        if (entry.kind === 'record' && isMeant(entry)) await printer.print(entry)
        if (entry.kind === 'broken') await printer.broken(entry, false)
      }
    } finally {
      for (const source of sources) await source.close()
    }
    await printer.end(err)
    return 0
  },
}

interface Source {
  readonly name: string
  readonly chunks: AsyncIterable<Buffer>
  close(): Promise<void>
}

async function sourceOf(path: string, stdin: AsyncIterable<Buffer>): Promise<Source> {
  if (path === '-') return { name: 'standard input', chunks: stdin, close: async () => {} }
  const file = await opened(path)
  return { name: path, chunks: chunksOf(file), close: () => file.close() }
}

async function* entriesOf({ name, chunks }: Source): AsyncGenerator<Entry> {
  const splitter = lineSplitter(0)
  for await (const chunk of chunks) for (const line of splitter.push(chunk)) yield entryOf(line, name)
  for (const line of splitter.end()) yield entryOf(line, name)
}
