// Runs a lab, a real backend on loopback, until Ctrl-C.
// Run: npm run lab:ad, npm run lab:vault, npm run lab:vsphere
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { run, setUp } from './setup.mjs'

/** The labs, by their names on the command line: folders of labs/src with a main.ts. */
const LABS = { ad: 'active-directory', vault: 'vault', vsphere: 'vsphere' }

const root = fileURLToPath(new URL('..', import.meta.url))
const name = process.argv[2]
if (!Object.hasOwn(LABS, name ?? '')) {
  console.error(`there is no lab "${name}". There are: ${Object.keys(LABS).join(', ')}`)
  process.exit(1)
}
if (!setUp({ folders: [`labs/${LABS[name]}`] }) || !run('npm', ['run', '--silent', 'build', '--', '--filter=./labs']))
  process.exit(1)

const lab = spawn(process.execPath, [`${root}/labs/dist/${LABS[name]}/main.js`], { stdio: 'inherit' })
// Ctrl-C in a terminal reaches the lab too; a signal sent to this process alone does not.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => lab.kill('SIGTERM'))
lab.on('exit', (code) => {
  process.exitCode = code ?? 1
})
