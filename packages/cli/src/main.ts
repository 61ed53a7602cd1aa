#!/usr/bin/env node
import { outputTo } from './output.ts'
import { runProgram } from './program.ts'

const status = await runProgram(process.argv.slice(2), {
  out: outputTo(process.stdout),
  err: outputTo(process.stderr),
  get stdin() {
    return process.stdin
  },
  now: Date.now,
  interruption: () => {
    const interruption = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interruption.abort())
    return interruption.signal
  },
})
process.exit(status)
