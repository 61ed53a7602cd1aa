// Brings the server of the Keycloak lab, which Debian has not. Plain Node without dependencies.

import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cache, hashOf, temporaryBeside, works } from './programs.mjs'

const PINNED = fileURLToPath(new URL('../labs/keycloak/keycloak.json', import.meta.url))
const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1'

/**
 * Sees to it that there is the server that labs/src/keycloak/program.ts looks for: the pinned release of Keycloak, which
 * Maven fetches once, checked by its hash, set up for a quick start, and kept in the user's cache folder by the hash of
 * labs/keycloak/keycloak.json. Returns whether there is one, and says why not. `run` runs a command; `installDebian` is
 * left out where packages can't be installed.
 */
export function ensureKeycloak({ run, installDebian }) {
  const name = hashOf(PINNED).slice('sha256:'.length, 'sha256:'.length + 16)
  const script = join(cache(), `keycloak-${name}`, 'bin', 'kc.sh')
  if (existsSync(script)) return true
  if (!works('java', ['-version'])) return says('missing for the Keycloak lab: Java 17 or later on PATH')
  if (!ensureTools(installDebian)) return false
  const folder = temporaryBeside(dirname(script))
  try {
    const made = fetchInto(folder, JSON.parse(readFileSync(PINNED, 'utf8')), run)
    if (made !== undefined) renameSync(made, dirname(dirname(script)))
    return made !== undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Returns the folder of the server, ready to start. */
function fetchInto(folder, { artifact, zip, unpacked, build }, run) {
  console.error(`fetching ${artifact.split(':').slice(1, 3).join(' ')}`)
  const options = [`-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`, `-Dmaven.repo.local=${folder}/repository`]
  if (!run('mvn', ['-q', '-B', '-ntp', `${PLUGIN}:copy`, ...options], { cwd: folder, quiet: true })) return undefined
  const [file] = readdirSync(folder).filter((name) => name.endsWith('.zip'))
  const actual = file === undefined ? 'none' : hashOf(join(folder, file))
  if (actual !== zip) {
    says(`${basename(file ?? artifact)} is not the expected file: ${actual}`)
    return undefined
  }
  if (!run('python3', ['-m', 'zipfile', '-e', file, '.'], { cwd: folder, quiet: true })) return undefined
  const made = join(folder, unpacked)
  const scripts = readdirSync(join(made, 'bin')).filter((name) => name.endsWith('.sh'))
  for (const name of scripts) chmodSync(join(made, 'bin', name), 0o755)
  const env = { JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1' }
  return run(join(made, 'bin/kc.sh'), ['build', ...build], { cwd: made, env, quiet: true }) ? made : undefined
}

function ensureTools(installDebian) {
  const has = () => works('mvn', ['--version']) && works('python3', ['--version'])
  const packages = ['maven', 'python3']
  if (has()) return true
  if (installDebian) return installDebian(packages) && has()
  return says(
    `missing to fetch Keycloak, on Debian as root: apt-get install --no-install-recommends ${packages.join(' ')}`,
  )
}

function says(what) {
  console.error(what)
  return false
}
