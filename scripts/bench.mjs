// Builds, and measures speed and memory. Names choose among test/bench; JSON goes to a file.
// Run: npm run bench [-- hit kerberos-tokens vault-miss …] [-- --json results.json]
import { fork } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { run, setUp } from './setup.mjs'

const folder = new URL('../test/bench/', import.meta.url)
const known = readdirSync(folder)
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -'.mjs'.length))

/** What the benchmarks on Kerberos compile with, in the form of the tables that `setUp` reads. */
const COMPILERS = {
  gcc: 'gcc',
  'g++': 'g++',
  make: 'make',
  python3: 'python3',
  'libkrb5-dev': '/usr/include/gssapi/gssapi_ext.h',
}
const PEER = new URL('../node_modules/kerberos/build/Release/kerberos.node', import.meta.url)

/**
 * Installs npm `kerberos` where it is left out, as npm does without a word when there was nothing to compile it with. The
 * headers of Node are downloaded, unless the system has those of this version.
 */
function installPeer() {
  if (existsSync(PEER)) return
  console.error('installing npm kerberos')
  run('npm', ['install', '--no-save', '--no-progress', '--loglevel=error'], { env: nodeHeaders() })
}

function nodeHeaders() {
  const version = '/usr/include/node/node_version.h'
  const [major] = process.versions.node.split('.')
  const isThere = existsSync(version) && readFileSync(version, 'utf8').includes(`#define NODE_MAJOR_VERSION ${major}\n`)
  return isThere ? { npm_config_nodedir: '/usr' } : {}
}

/** What a benchmark reports, and whether it ended as it should. */
async function measure(name) {
  const child = fork(new URL(`${name}.mjs`, folder), { execArgv: ['--expose-gc'], stdio: 'inherit' })
  const reports = []
  child.on('message', (message) => {
    reports.push(message)
    show(message)
  })
  const status = await new Promise((resolve) => {
    child.on('exit', resolve)
  })
  if (status !== 0) console.error(`the benchmark ${name} failed`)
  return { reports, complete: status === 0 && reports.length > 0 }
}

/** `PASS`; `OVER`, within what a noisy machine may do; `FAIL`. */
function verdictOn({ value, limit, tolerance }) {
  if (limit === undefined) return ''
  if (value <= limit) return 'PASS'
  return value <= limit * (1 + tolerance) ? 'OVER' : 'FAIL'
}

function show({ title, results }) {
  console.log(`\n${title}`)
  const width = Math.max(...results.map(({ name }) => name.length))
  for (const result of results) {
    const { name, value, unit, limit } = result
    const digits = value >= 100 || Number.isInteger(value) ? 0 : 2
    const amount = `${value.toFixed(digits).padStart(8)} ${unit.padEnd(6)}`
    const verdict = limit === undefined ? '' : `at most ${limit}: ${verdictOn(result)}`
    console.log(`  ${name.padEnd(width)}  ${amount} ${verdict}`.trimEnd())
  }
}

function readArguments() {
  const { positionals, values } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true })
  const unknown = positionals.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`there is no benchmark "${unknown[0]}". There are: ${known.join(', ')}`)
  return { names: positionals.length > 0 ? positionals : known, json: values.json }
}

async function main() {
  const { names, json } = readArguments()
  const usesKerberos = names.some((name) => name.startsWith('kerberos'))
  const usesVault = names.some((name) => name.startsWith('vault'))
  const folders = [...(usesKerberos ? ['labs/active-directory'] : []), ...(usesVault ? ['labs/vault'] : [])]
  const built = ['./packages/*', ...(folders.length > 0 ? ['./labs'] : [])].map((path) => `--filter=${path}`)
  if (!setUp({ folders, more: usesKerberos ? COMPILERS : {} })) return false
  if (names.includes('kerberos-tokens')) installPeer()
  if (!run('npx', ['--no', 'turbo', 'run', 'build', ...built, '--output-logs=errors-only'])) return false
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.versions.node}`
  console.log(machine)
  const reports = []
  let complete = true
  for (const name of names) {
    const measured = await measure(name)
    reports.push(...measured.reports)
    complete &&= measured.complete
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, at: new Date(), reports }, null, 2)}\n`)
  const verdicts = reports.flatMap(({ results }) => results.map(verdictOn))
  const count = (verdict) => verdicts.filter((one) => one === verdict).length
  console.log(
    `\nbounds: ${count('PASS')} PASS, ${count('OVER')} OVER (within the tolerance for noise), ${count('FAIL')} FAIL`,
  )
  return complete && count('FAIL') === 0
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
