import { readFile } from 'node:fs/promises'
import type { Command, Surroundings } from './command.ts'
import { filter } from './filter.ts'
import { tail } from './tail.ts'
import { UsageError } from './usage.ts'
import { verify } from './verify.ts'

const AUDIT: ReadonlyMap<string, Command> = new Map([
  ['tail', tail],
  ['filter', filter],
  ['verify', verify],
])

const HELP = `Usage: mcp-delegation audit COMMAND …

Reads the audit log that fileAudit of @mcp-delegation/core writes. Nothing that a record holds can reach the terminal as
anything but text: control, bidirectional and invisible characters are shown as \\u{…}.

${[...AUDIT].map(([name, { summary }]) => `  audit ${name.padEnd(8)}  ${summary}`).join('\n')}

  --help     this, or after a command what it takes
  --version  the version
`

/** Runs the program with its arguments; resolves with the exit status. */
export async function runProgram(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { out, err } = surroundings
  let status = 0
  try {
    status = await runCommand(args, surroundings)
    await out.flush()
    return status
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // Whoever read the output has had enough.
    if (code === 'EPIPE') return status
    await out.flush().catch(() => {})
    await err.line(`mcp-delegation: ${message}`)
    return 2
  } finally {
    await err.flush().catch(() => {})
  }
}

async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const [group, name, ...rest] = args
  const command = group === 'audit' ? AUDIT.get(name ?? '') : undefined
  const wantsHelp = args.includes('--help') || args.includes('-h')
  if (wantsHelp) {
    for (const line of (command?.help ?? HELP).trimEnd().split('\n')) await surroundings.out.line(line)
    return 0
  }
  if (command !== undefined) return command.run(rest, surroundings)
  if (group === '--version') {
    await surroundings.out.line(await version())
    return 0
  }
  const known = [...AUDIT.keys()].map((one) => `audit ${one}`).join(', ')
  const given = args.slice(0, 2).join(' ')
  throw new UsageError(given === '' ? `give a command: ${known}` : `there is no command '${given}', but ${known}`)
}

async function version(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
