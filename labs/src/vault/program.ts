import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What is fetched where the machine has no server of its own; scripts/openbao.mjs fetches it. */
const PINNED = fileURLToPath(new URL('../../vault/openbao.json', import.meta.url))

/** The program of a server. */
export interface Program {
  readonly kind: 'openbao' | 'vault'
  readonly path: string
}

/** A `bao` or `vault` on PATH, else the one that `npm run lab:vault` and `npm test` fetch. `undefined`: there is none. */
export function findProgram(): Program | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder): Program[] => [
    { kind: 'openbao', path: join(folder, 'bao') },
    { kind: 'vault', path: join(folder, 'vault') },
  ])
  return [...onPath, { kind: 'openbao' as const, path: fetchedProgram() }].find(({ path }) => isExecutable(path))
}

/** Where the fetched program is, or would be. */
export function fetchedProgram(): string {
  const { version } = JSON.parse(readFileSync(PINNED, 'utf8')) as { version: string }
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(cache, 'mcp-delegation', `openbao-${version}`, 'bao')
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
