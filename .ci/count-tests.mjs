// Prints "PASSED FAILED" from vitest's JSON report. A test that was skipped is a failure: nothing may be missing here.
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
const others = tests.filter((test) => test.status !== 'passed')
for (const test of others) console.error(`${test.status}: ${test.fullName}`)
console.log(passed.length, tests.length === 0 ? 1 : others.length)
