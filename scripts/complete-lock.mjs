// Completes package-lock.json after npm changed it. A registry mirror may lack the packages of other platforms; npm
// then leaves them out of the lock file, and the next `npm ci` refuses it. Run: npm run lock:complete [-- --check]
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const OS = { windows: 'win32', win32: 'win32', darwin: 'darwin', linux: 'linux', android: 'android' }
const CPU = { 64: 'x64', x64: 'x64', ia32: 'ia32', arm64: 'arm64', arm: 'arm' }
const OTHER_OS = ['freebsd', 'netbsd', 'openbsd', 'sunos', 'aix', 'openharmony']
const OTHER_CPU = ['ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32']
for (const os of OTHER_OS) OS[os] = os
for (const cpu of OTHER_CPU) CPU[cpu] = cpu
const LIBC = { musl: 'musl', musleabihf: 'musl', gnu: 'glibc', gnueabihf: 'glibc' }

/** What `npm ci` checks before it installs: `@scope/cli-linux-x64-musl` → os, cpu and libc. */
function platformOf(name) {
  const words = name.replace(/^@[^/]+\//, '').split('-')
  const find = (table) => words.map((word) => table[word]).find(Boolean)
  const [os, cpu, libc] = [find(OS), find(CPU), find(LIBC)]
  if (cpu === undefined || (os === undefined && cpu !== 'wasm32'))
    throw new Error(`"${name}" is missing from package-lock.json and its name tells no platform: add it by hand`)
  return { ...(os && { os: [os] }), cpu: [cpu], ...(libc && { libc: [libc] }) }
}

/** Whether Node would find `name` from the package at `from`, by walking up. */
function isLocked(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    if (packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`] !== undefined) return true
    if (at === '') return false
  }
}

function missingFrom(packages) {
  const missing = {}
  for (const [from, { optionalDependencies = {} }] of Object.entries(packages))
    for (const [name, version] of Object.entries(optionalDependencies))
      if (!isLocked(packages, from, name))
        missing[`node_modules/${name}`] = { version, optional: true, ...platformOf(name) }
  return missing
}

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const lock = JSON.parse(readFileSync(path, 'utf8'))
const missing = missingFrom(lock.packages)
const hosts = Object.entries(lock.packages).filter(([, entry]) => /^\w+:/.test(entry.resolved ?? ''))

if (hosts.length > 0) {
  console.error(`package-lock.json names a host, for example at ${hosts[0][0]}: npm must run with this folder's .npmrc`)
  process.exitCode = 1
} else if (Object.keys(missing).length === 0) {
  console.log('package-lock.json is complete')
} else if (process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${Object.keys(missing).join(', ')}: run npm run lock:complete`)
  process.exitCode = 1
} else {
  const all = Object.entries({ ...lock.packages, ...missing })
  lock.packages = Object.fromEntries(all.sort(([a], [b]) => a.localeCompare(b, 'en')))
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
  console.log(`added ${Object.keys(missing).join(', ')}`)
}
