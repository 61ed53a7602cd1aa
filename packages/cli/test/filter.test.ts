import { spawn } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditRecord } from '@mcp-delegation/core'
import { expect, test } from 'vitest'
import { matching } from '../src/conditions.ts'
import { entryOf } from '../src/entry.ts'
import { audit, BEGIN, call, linesOf, program, record, run, scratch, start, toolsOf, write } from './support.ts'

const VALUES = {
  event: 'delegation',
  outcome: 'refused',
  issuer: 'https://other.example',
  subject: 'bob',
  session: 'session-2',
  tool: 'power_on',
  resource: 'vm',
  prompt: 'report',
  module: 'vcenter',
  target: 'vc-1',
  principal: 'CORP\\bob',
  code: 'ERR_DELEGATION_DENIED',
}
/** There are events and outcomes of these names alone. */
const OTHERS: Readonly<Record<string, string>> = { event: 'end-session', outcome: 'exported' }
const fieldOf = (name: string): string => (name === 'session' ? 'sessionId' : name)

test.each(Object.entries(VALUES))('--%s means the records that have exactly this value', async (name, value) => {
  const path = join(scratch(), 'audit.jsonl')
  const second = OTHERS[name] ?? 'second'
  const others = [`${value}x`, value.slice(0, -1), ` ${value}`, undefined, [value], null]
  const records = [value, ...others].map((one, index) => record(index, { traceId: `t${index}`, [fieldOf(name)]: one }))
  // Unlike the sink, another writer may leave what is no text there.
  const all = [...records, record(9, { [fieldOf(name)]: second })]
  writeFileSync(path, all.map((one) => `${JSON.stringify(one)}\n`).join(''))
  const meant = async (...values: string[]): Promise<unknown[]> => {
    const conditions = values.map((one) => `--${name}=${one}`)
    const { stdout } = await call(['audit', 'filter', '--json', ...conditions, path])
    return linesOf(stdout).map((line) => (JSON.parse(line) as Record<string, unknown>)[fieldOf(name)])
  }
  expect(await meant(value)).toEqual([value])
  expect(await meant(value, second)).toEqual([value, second])
})

test('several options mean the records that meet all of them', async () => {
  const folder = scratch()
  await write(join(folder, 'audit.jsonl'), [
    record(1, { subject: 'bob', outcome: 'denied' }),
    record(2, { subject: 'bob' }),
    record(3, { subject: 'carol', outcome: 'denied' }),
    record(4, { subject: 'dave', outcome: 'denied' }),
  ])
  const args = ['--subject', 'bob', '--subject', 'carol', '--outcome', 'denied']
  expect(toolsOf((await audit(folder, ['filter', ...args, 'audit.jsonl'])).stdout)).toEqual(['tool-1', 'tool-3'])
  expect((await audit(folder, ['filter', '--subject', 'nobody', 'audit.jsonl'])).status).toBe(0)
})

test('--since and --until mean a time, with both ends of it', async () => {
  const folder = scratch()
  await write(
    join(folder, 'audit.jsonl'),
    [1, 2, 3, 4].map((second) => record(second)),
  )
  const meant = async (...args: string[]): Promise<string[]> =>
    toolsOf((await call(['audit', 'filter', ...args, join(folder, 'audit.jsonl')])).stdout)
  expect(await meant('--since', '2026-01-31T10:00:02Z')).toEqual(['tool-2', 'tool-3', 'tool-4'])
  expect(await meant('--until', '2026-01-31T10:00:02Z')).toEqual(['tool-1', 'tool-2'])
  expect(await meant('--since=2026-01-31T11:00:02+01:00', '--until=2026-01-31T10:00:03Z')).toEqual(['tool-2', 'tool-3'])
  expect(await meant('--until', '2026-01-31')).toEqual([])
})

test('a duration is one before now', () => {
  const line = (at: number) => ({ start: 0, bytes: Buffer.from(JSON.stringify(record(at))), complete: true })
  const isMeant = (second: number): boolean => {
    const entry = entryOf(line(second), 'audit.jsonl')
    if (entry.kind !== 'record') throw new Error(entry.kind)
    return matching({ since: '2m', until: '1m' }, BEGIN + 200_000)(entry)
  }
  expect([79, 80, 100, 140, 141].map(isMeant)).toEqual([false, true, true, true, false])
})

test('a record that stands for several refusals is meant where one of them may have been', async () => {
  const folder = scratch()
  const counted = record(100, { count: 9, since: new Date(BEGIN), tool: 'counted' })
  await write(join(folder, 'audit.jsonl'), [counted])
  const meant = async (...args: string[]): Promise<number> =>
    toolsOf((await call(['audit', 'filter', ...args, join(folder, 'audit.jsonl')])).stdout).length
  expect(await meant('--until', '2026-01-31T10:00:10Z')).toBe(1)
  expect(await meant('--since', '2026-01-31T10:01:00Z')).toBe(1)
  expect(await meant('--until', '2026-01-31T09:59:59Z')).toBe(0)
  expect(await meant('--since', '2026-01-31T10:01:41Z')).toBe(0)
})

test('files and standard input are read together, in the order of time', async () => {
  const folder = scratch()
  await write(join(folder, 'one.jsonl'), [record(1), record(4)])
  await write(join(folder, 'two.jsonl'), [record(2), record(5)])
  const input = `${JSON.stringify(record(3))}\n`
  const { stdout, status } = await audit(folder, ['filter', 'one.jsonl', '-', 'two.jsonl'], input)
  expect(toolsOf(stdout)).toEqual(['tool-1', 'tool-2', 'tool-3', 'tool-4', 'tool-5'])
  expect(status).toBe(0)
  const alone = await audit(folder, ['filter', '--json', '-'], input)
  expect(alone).toEqual({ status: 0, stdout: input, stderr: '' })
})

test('a pipe is read as it comes', async () => {
  const folder = scratch()
  await run(folder, 'mkfifo', ['pipe'])
  const running = start(folder, ['filter', 'pipe'])
  const script = `exec 3>pipe; printf '%s\\n' "$1" >&3; read -r; printf '%s\\n' "$2" >&3`
  const [first, second] = [record(1), record(2)].map((one) => JSON.stringify(one))
  const writer = spawn('bash', ['-c', script, 'bash', first ?? '', second ?? ''], { cwd: folder })
  await running.shows('tool-1')
  expect(toolsOf(running.text())).toEqual(['tool-1'])
  writer.stdin.end('\n')
  await running.shows('tool-2')
})

test('lines that are no records are left out and counted', async () => {
  const folder = scratch()
  const path = join(folder, 'audit.jsonl')
  await write(path, [record(1)])
  appendFileSync(path, 'torn{\n\n')
  await write(path, [record(2)])
  const { status, stdout, stderr } = await audit(folder, ['filter', 'audit.jsonl'])
  expect(toolsOf(stdout)).toEqual(['tool-1', 'tool-2'])
  expect(linesOf(stdout)).toHaveLength(2)
  expect(stderr).toMatch(/^mcp-delegation: 1 line is no audit record: not JSON: audit\.jsonl, byte \d+\n$/)
  expect(status).toBe(0)
})

test('a reader that has had enough ends it', async () => {
  const folder = scratch()
  const records: AuditRecord[] = Array.from({ length: 2_000 }, (_, second) => record(second))
  await write(join(folder, 'audit.jsonl'), records)
  for (const flag of ['', '--json']) {
    const script = `set -o pipefail; node "$1" audit filter ${flag} audit.jsonl | head -1`
    const { status, stdout, stderr } = await run(folder, 'bash', ['-c', script, 'bash', program])
    expect({ status, stderr, lines: linesOf(stdout).length }).toEqual({ status: 0, stderr: '', lines: 1 })
  }
})
