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

/** A `bao` or `vault` on PATH, else the one that scripts/setup.mjs brings. `undefined`: there is none. */
export function findProgram(): Program | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder): Program[] => [
    { kind: 'openbao', path: join(folder, 'bao') },
    { kind: 'vault', path: join(folder, 'vault') },
  ])
  const cached = cachedPrograms().map((path): Program => ({ kind: 'openbao', path }))
  return [...onPath, ...cached].find(({ path }) => isExecutable(path))
}

/** Where the fetched and the built program are, or would be. */
function cachedPrograms(): readonly string[] {
  const { version, source } = JSON.parse(readFileSync(PINNED, 'utf8')) as { version: string; source: string }
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-delegation')
  return [`openbao-${version}`, `openbao-${source}-go`].map((name) => join(cache, name, 'bao'))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
