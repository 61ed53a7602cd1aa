import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PINNED = fileURLToPath(new URL('../../keycloak/keycloak.json', import.meta.url))

/** The folder of the server that scripts/keycloak.mjs brings, by the hash of what is pinned. `undefined`: there is none. */
export function findServer(): string | undefined {
  const hash = createHash('sha256').update(readFileSync(PINNED)).digest('hex')
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-delegation')
  const path = join(cache, `keycloak-${hash.slice(0, 16)}`)
  return existsSync(join(path, 'bin/kc.sh')) ? path : undefined
}
