// Builds, checks the types of everything, and runs the tests. Arguments go to vitest.
// Run: npm test [-- --project core registry]
import { run, setUp } from './setup.mjs'

const script = (name) => run('npm', ['run', '--silent', name])

if (!setUp({ optional: true }) || !script('build')) process.exit(1)
const typed = script('typecheck')
const tested = run('npx', ['--no', 'vitest', 'run', ...process.argv.slice(2)])
if (!typed) console.error('the type check failed: see above')
process.exitCode = typed && tested ? 0 : 1
