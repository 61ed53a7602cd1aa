import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test, vi } from 'vitest'
import { findServer } from '../../src/keycloak/program.ts'

const PINNED = fileURLToPath(new URL('../../keycloak/keycloak.json', import.meta.url))
const cache = mkdtempSync(join(tmpdir(), 'keycloak-cache-'))
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(cache, { recursive: true })
})

test('what a set-up that failed has left is no server', () => {
  vi.stubEnv('XDG_CACHE_HOME', cache)
  const hash = createHash('sha256').update(readFileSync(PINNED)).digest('hex').slice(0, 16)
  const folder = join(cache, 'mcp-delegation', `keycloak-${hash}`)
  expect(findServer()).toBeUndefined()
  mkdirSync(join(folder, 'bin'), { recursive: true })
  expect(findServer()).toBeUndefined()
  writeFileSync(join(folder, 'bin/kc.sh'), '')
  expect(findServer()).toBe(folder)
})
