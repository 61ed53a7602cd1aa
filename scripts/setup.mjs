// Installs what the project's commands need and is not there yet. Plain Node without dependencies: it runs first.
// Run: node scripts/setup.mjs
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureKeycloak } from './keycloak.mjs'
import { ensureServer } from './openbao.mjs'
import { ensureSimulator } from './vcsim.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Whose needs there are tables of, debian.json: a lab's, and those of tests besides the labs. */
const FOLDERS = ['labs/active-directory', 'labs/keycloak', 'labs/vault', 'labs/vsphere', 'test']
/** What sees to the server of a lab that Debian has not. */
const SERVERS = { 'labs/keycloak': ensureKeycloak, 'labs/vault': ensureServer, 'labs/vsphere': ensureSimulator }
/** What Debian asks before it starts a server that a package brings. */
const POLICY = '/usr/sbin/policy-rc.d'

/**
 * Runs a command without input. Its output is shown: at once, or with `quiet` only where it fails. Returns whether it
 * succeeded.
 */
export function run(command, args, { env = {}, cwd = root, quiet = false } = {}) {
  const output = quiet ? 'pipe' : 'inherit'
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', ...env },
    stdio: ['ignore', output, output],
    maxBuffer: 2 ** 26,
    shell: process.platform === 'win32',
  })
  if (error) console.error(`${command}: ${error.message}`)
  if (quiet && status !== 0) process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`)
  return status === 0
}

/**
 * Brings everything up to date: the Debian packages of those of `folders` that have a table of them, those in `more`,
 * which is like the tables, and for labs whose server Debian has not that server. Returns whether the caller can go on; with
 * `optional` it can without Debian packages and without the servers.
 */
export function setUp({ more = {}, folders = FOLDERS, optional = false } = {}) {
  const tables = FOLDERS.filter((folder) => folders.includes(folder)).map(debianPackagesOf)
  return (
    ensureNode() &&
    ensureDebianPackages(Object.assign({}, ...tables, more), optional) &&
    Object.keys(SERVERS).every((folder) => !folders.includes(folder) || ensure(SERVERS[folder]) || optional) &&
    ensureNpmPackages()
  )
}

function ensure(server) {
  return server({ run, installDebian: mayInstall() ? installDebian : undefined })
}

/**
 * What a folder needs: Debian packages, by each the program or the path that shows that it is installed. In a path, a
 * folder named `*` stands for any one, as that of the machine's architecture.
 */
function debianPackagesOf(folder) {
  return JSON.parse(readFileSync(join(root, folder, 'debian.json'), 'utf8'))
}

function ensureNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return true
  console.error(`Node ${process.versions.node} is too old: install Node 20.19 or later`)
  return false
}

function ensureNpmPackages() {
  if (isInstalled()) return true
  console.error('installing npm packages')
  return run('npm', ['ci', '--no-progress', '--loglevel=error'])
}

/** Whether node_modules holds what package-lock.json says, compared through npm's own record of what it installed. */
function isInstalled() {
  const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false
  const installed = read('node_modules/.package-lock.json')
  return Object.entries(read('package-lock.json')).every(([path, { version, link, optional, peer }]) => {
    if (!path.includes('node_modules/') || link) return true
    return installed[path] === undefined ? Boolean(optional ?? peer) : installed[path].version === version
  })
}

function ensureDebianPackages(packages, optional) {
  const missing = Object.keys(packages).filter((name) => !isThere(packages[name]))
  if (missing.length === 0) return true
  if (mayInstall()) return installDebian(missing)
  console.error(`missing, on Debian as root: apt-get install --no-install-recommends ${missing.join(' ')}`)
  return optional
}

function mayInstall() {
  return existsSync('/usr/bin/apt-get') && process.getuid?.() === 0
}

/** Installs packages; servers that they bring are not started: the labs start their own. */
function installDebian(names) {
  console.error(`installing ${names.join(', ')}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const forbid = !existsSync(POLICY)
  if (forbid) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return (
      run('apt-get', ['update', '-qq'], { env, quiet: true }) &&
      run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], { env, quiet: true })
    )
  } finally {
    if (forbid) rmSync(POLICY)
  }
}

/** Whether a program is on PATH or where administrators' programs are, or a path exists. */
function isThere(proof) {
  if (!proof.includes('/')) {
    const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
    return folders.some((folder) => existsSync(join(folder, proof)))
  }
  const [before, after] = proof.split('*')
  if (after === undefined) return existsSync(proof)
  return existsSync(before) && readdirSync(before).some((name) => existsSync(before + name + after))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = setUp({ optional: true }) ? 0 : 1
