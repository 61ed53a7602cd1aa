// Installs what the project's commands need and is not there yet. Plain Node without dependencies: it runs first.
// Run: node scripts/setup.mjs
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Programs that real-server tests start, by the Debian package that brings each: `{ slapd: 'slapd' }`. */
const DEBIAN_PROGRAMS = {}

/** Runs a command with its output shown and no input. Returns whether it succeeded. */
export function run(command, args, { env = {}, cwd = root } = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (error) console.error(`${command}: ${error.message}`)
  return status === 0
}

/** Brings everything up to date. Returns whether the project's commands can run now. */
export function setUp() {
  return ensureNode() && ensureNpmPackages() && ensureDebianPrograms(DEBIAN_PROGRAMS)
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

function ensureDebianPrograms(programs) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  const missing = Object.keys(programs).filter((name) => !folders.some((folder) => existsSync(join(folder, name))))
  if (missing.length === 0) return true
  const packages = [...new Set(missing.map((name) => programs[name]))]
  if (existsSync('/usr/bin/apt-get') && process.getuid?.() === 0) {
    console.error(`installing ${packages.join(', ')}`)
    const env = { DEBIAN_FRONTEND: 'noninteractive' }
    return run('apt-get', ['update', '-qq'], { env }) && run('apt-get', ['install', '-y', '-qq', ...packages], { env })
  }
  console.error(`not installed: ${missing.join(', ')}. On Debian: sudo apt-get install ${packages.join(' ')}`)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = setUp() ? 0 : 1
