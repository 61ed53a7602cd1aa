import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../../vsphere/simulator/', import.meta.url))

/** The server that scripts/vcsim.mjs builds, by the hash of its sources. `undefined`: there is none. */
export function findProgram(): string | undefined {
  const hash = createHash('sha256')
  for (const file of readdirSync(SOURCE).sort()) hash.update(readFileSync(join(SOURCE, file)))
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-delegation')
  const path = join(cache, `vcenter-${hash.digest('hex').slice(0, 16)}`, 'vcenter')
  return existsSync(path) ? path : undefined
}
