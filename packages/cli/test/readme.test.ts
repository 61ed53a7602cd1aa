import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AuditRecord, fileAudit, fileCheckpoints } from '@mcp-delegation/core'
import { expect, test } from 'vitest'
import { BEGIN, linesOf, program, record, run, scratch } from './support.ts'

// A `sh` fence of the README after the comment `<!-- shell -->` runs, and prints the lines, or parts of lines, of the
// `text` fence after it.

const FENCE = /^<!-- shell -->\n+```sh\n((?:(?!^```).*\n)*)^```\n(?:\n*```text\n((?:(?!^```).*\n)*)^```\n)?/gm
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const steps = [...readme.matchAll(FENCE)].map(([, script = '', prints = '']) => ({ script, prints }))

const denied = { event: 'tool', tool: 'delete_vm', subject: 'bob', outcome: 'denied', durationMs: 0.2 }
const because = { code: 'ERR_TOOL_DENIED', reason: 'delete_vm needs the level VM_LIFECYCLE' }
const issued = { event: 'delegation', outcome: 'issued', module: 'vcenter', type: 'vault', target: 'vc-1' }
const RECORDS: readonly AuditRecord[] = [
  record(1, { ...issued, tool: 'list_vms', principal: 'alice@vsphere.local', durationMs: 84.1 }),
  record(1, { tool: 'list_vms', durationMs: 131.2 }),
  record(7, { ...denied, ...because }),
  record(16, { ...denied, ...because, count: 41, since: new Date(BEGIN + 7000) }),
]

test('the commands of the README run, and print what it says', async () => {
  const folder = scratch()
  writeFileSync(join(folder, 'mcp-delegation'), `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`)
  chmodSync(join(folder, 'mcp-delegation'), 0o755)
  const sh = (script: string) => run(folder, 'sh', ['-ec', `PATH="$PWD:$PATH"\n${script}`])
  const isKey = ({ script }: { readonly script: string }): boolean => script.includes('openssl')
  expect(steps.length).toBeGreaterThanOrEqual(5)

  for (const { script } of steps.filter(isKey)) expect((await sh(script)).status).toBe(0)
  const key = readFileSync(join(folder, 'audit-key.pem'), 'utf8')
  const seal = { key, keyId: 'audit-1', witness: fileCheckpoints(join(folder, 'held.jws')) }
  const clock = { now: () => BEGIN + 20_000 }
  const sink = fileAudit(join(folder, 'audit.jsonl'), { seal, clock, repeats: false })
  for (const one of RECORDS) await sink(one)
  await sink[Symbol.asyncDispose]()

  for (const { script, prints } of steps.filter((step) => !isKey(step))) {
    const { status, stdout, stderr } = await sh(script)
    expect({ script, status, stderr }).toEqual({ script, status: 0, stderr: '' })
    expect(linesOf(prints).filter((part) => !stdout.includes(part))).toEqual([])
    expect(prints).not.toBe('')
  }
})
