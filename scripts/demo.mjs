// Builds one of the examples and runs it. Options go to the example.
// Run: npm run demo [-- name] [-- --serve]
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run, setUp } from './setup.mjs'

/** An example that needs a lab has its name; here are those that need another one too. */
const MORE = { vsphere: ['labs/vault'] }

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = readdirSync(`${root}/examples`)
const args = process.argv.slice(2)
const name = args[0]?.startsWith('--') ? 'quickstart' : (args.shift() ?? 'quickstart')

if (!examples.includes(name)) {
  console.error(`there is no example "${name}". There are: ${examples.join(', ')}`)
  process.exit(1)
}
if (
  !setUp({ folders: [`labs/${name}`, ...(MORE[name] ?? [])] }) ||
  !run('npm', ['run', '--silent', 'build', '--', `--filter=./examples/${name}`])
)
  process.exit(1)

const example = spawn(process.execPath, [`${root}/examples/${name}/dist/main.js`, ...args], { stdio: 'inherit' })
// Ctrl-C in a terminal reaches the example too; a signal sent to this process alone does not.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => example.kill('SIGTERM'))
example.on('exit', (code) => {
  process.exitCode = code ?? 1
})
