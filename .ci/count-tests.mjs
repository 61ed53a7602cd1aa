// Prints "PASSED FAILED" from vitest's JSON report. A test that was skipped is a failure: nothing may be missing here but
// privileges. Tests with "(privileged)" in their names are counted apart where this is not root, or may not unshare.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    console.error('there is no report of the tests')
    return { testResults: [] }
  }
}

const tests = readReport(process.argv[2]).testResults.flatMap((file) => file.assertionResults)
const passed = tests.filter((test) => test.status === 'passed')
const isPrivileged = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0
const isExcused = ({ status, fullName }) => !isPrivileged && status !== 'failed' && fullName.includes('(privileged)')
const others = tests.filter((test) => test.status !== 'passed' && !isExcused(test))
const excused = tests.filter((test) => test.status !== 'passed' && isExcused(test)).length
if (excused > 0) console.error(`not run for want of privileges: ${excused} tests`)
for (const test of others) console.error(`${test.status}: ${test.fullName}`)
console.log(passed.length, tests.length === 0 ? 1 : others.length)
