import { appendFileSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileAudit } from '@mcp-delegation/core'
import { describe, expect, test } from 'vitest'
import { audit, call, HOSTILE, linesOf, program, record, run, scratch, start, toolsOf, write } from './support.ts'

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const names = (from: number, to: number): string[] => range(from, to).map((second) => `tool-${second}`)
const records = (from: number, to: number) => range(from, to).map((second) => record(second))

describe('readable lines', () => {
  test('say when, what, how it ended, how long it took, who, and what is particular to it', async () => {
    const folder = scratch()
    const delegation = { event: 'delegation', tool: 'power_on', module: 'vcenter', type: 'vault', target: 'vc-1' }
    const refused = { code: 'ERR_DELEGATION_DENIED', reason: 'the policy says no' }
    const repeated = { count: 17, since: new Date('2026-01-31T09:59:59.000Z') }
    const nobody = { sessionId: undefined, issuer: undefined, subject: undefined, tool: undefined, durationMs: 0.25 }
    await write(join(folder, 'audit.jsonl'), [
      record(0, { durationMs: 1234.5 }),
      record(1, { ...delegation, outcome: 'issued', principal: 'CORP\\alice' }),
      record(2, { ...delegation, ...refused, ...repeated, outcome: 'refused', act: ['agent'] }),
      record(3, { ...nobody, event: 'authentication', outcome: 'refused', code: 'ERR_SESSION_INVALID' }),
      record(4, { event: 'block', outcome: undefined, tool: undefined, credentials: 2 }),
      record(5, { event: 'resource', tool: undefined, resource: 'vm', uri: 'vm://1' }),
    ])
    const { status, stdout, stderr } = await audit(folder, ['tail', 'audit.jsonl'])
    const alice = 'alice@https://idp.example               '
    expect(linesOf(stdout)).toEqual([
      `2026-01-31T10:00:00.000Z  tool            ok          1235 ms  ${alice}  tool=tool-0`,
      `2026-01-31T10:00:01.000Z  delegation      issued        12 ms  ${alice}  tool=power_on  module=vcenter  type=vault  target=vc-1  principal=CORP\\alice`,
      `2026-01-31T10:00:02.000Z  delegation      refused       12 ms  ${alice}  tool=power_on  module=vcenter  type=vault  target=vc-1  act=agent  count=17 since=2026-01-31T09:59:59.000Z  ERR_DELEGATION_DENIED: the policy says no`,
      `2026-01-31T10:00:03.000Z  authentication  refused      0.3 ms  ${'-'.padEnd(40)}  ERR_SESSION_INVALID`,
      `2026-01-31T10:00:04.000Z  block           -             12 ms  ${alice}  credentials=2`,
      `2026-01-31T10:00:05.000Z  resource        ok            12 ms  ${alice}  resource=vm  uri=vm://1`,
    ])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  test('hold nothing that a terminal could obey, whatever records hold', async () => {
    const folder = scratch()
    const evil = '\u001b]0;owned\u0007\u202eevil\u200b\u2066\u0085'
    const fields = Object.fromEntries(
      ['outcome', 'subject', 'issuer', 'tool', 'module', 'target', 'principal', 'code', 'reason', 'count', 'since'].map(
        (name) => [name, evil],
      ),
    )
    const own = `{"__proto__":{"event":"tool"},"constructor":1,"toString":2,"at":"2026-01-31T10:00:00.000Z","event":"x"}`
    const deep = `{"at":"2026-01-31T10:00:00.000Z","event":"deep","tool":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const lines = [JSON.stringify({ ...record(0), ...fields, event: evil, act: [evil] }), own, deep, evil]
    // JSON escapes control characters, but not the others.
    writeFileSync(join(folder, evil.replace('/', '')), `${lines.join('\n')}\n\ud800\n`)
    for (const args of [['tail'], ['tail', '--json'], ['filter'], ['filter', '--json']]) {
      const { status, stdout, stderr } = await audit(folder, [...args, evil])
      expect(status).toBe(0)
      expect(
        HOSTILE.exec(stdout + stderr)?.[0]
          .codePointAt(0)
          ?.toString(16),
      ).toBeUndefined()
      expect(linesOf(stdout).length).toBe(args.join() === 'tail' ? 5 : 3)
      expect(stderr).toContain('2 lines are no audit records')
      if (args.includes('--json'))
        expect(JSON.parse(linesOf(stdout)[0] ?? '')).toMatchObject({ subject: evil, reason: evil })
    }
  })
})

describe('the last records', () => {
  test('are ten, or as many as --lines says', async () => {
    const folder = scratch()
    await write(join(folder, 'audit.jsonl'), records(1, 600))
    const shown = async (...args: string[]): Promise<string[]> =>
      toolsOf((await call(['audit', 'tail', ...args, join(folder, 'audit.jsonl')])).stdout)
    expect(await shown()).toEqual(names(591, 600))
    expect(await shown('-n', '3')).toEqual(names(598, 600))
    expect(await shown('-n0')).toEqual([])
    // From beyond one piece that is read from the end, and all there are.
    expect(await shown('--lines=400')).toEqual(names(201, 600))
    expect(await shown('--lines=5000')).toEqual(names(1, 600))
  })

  test('of several files are in the order of time, and those of a rotated log in theirs', async () => {
    const folder = scratch()
    await write(join(folder, 'one.jsonl'), [record(1), record(4), record(5)])
    await write(join(folder, 'two.jsonl'), [record(2), record(3), record(6)])
    const both = await audit(folder, ['tail', '-n', '4', 'one.jsonl', 'two.jsonl'])
    expect(toolsOf(both.stdout)).toEqual(names(3, 6))
    await write(join(folder, 'audit.jsonl'), records(1, 600), { maxSize: 65_536 })
    // As a shell sorts them.
    const rotated = readdirSync(folder)
      .filter((name) => name.startsWith('audit.jsonl'))
      .sort()
    expect(rotated.length).toBeGreaterThan(2)
    expect(toolsOf((await audit(folder, ['tail', '-n', '550', ...rotated])).stdout)).toEqual(names(51, 600))
  })

  test('are printed as they are with --json', async () => {
    const folder = scratch()
    await write(join(folder, 'audit.jsonl'), records(1, 3))
    const { stdout } = await audit(folder, ['tail', '--json', '-n', '2', 'audit.jsonl'])
    expect(stdout).toBe([record(2), record(3)].map((one) => `${JSON.stringify(one)}\n`).join(''))
  })

  test('stand among the lines that are none, which are shown and counted', async () => {
    const folder = scratch()
    const path = join(folder, 'audit.jsonl')
    await write(path, [record(1)])
    appendFileSync(path, Buffer.from('{"at":"2026-01-31\n"text"\n{"at":"never","event":"x"}\n'))
    appendFileSync(path, Buffer.concat([Buffer.from([0xff, 0xfe, 10]), Buffer.alloc(10 * 1_048_576, 'x')]))
    appendFileSync(path, `\n\n\n${JSON.stringify(record(2))}\n{"at":"2026`)
    const { status, stdout, stderr } = await audit(folder, ['tail', 'audit.jsonl'])
    expect(
      linesOf(stdout).map((line) => /^\?\s+(.*?): audit.jsonl, byte \d+/.exec(line)?.[1] ?? toolsOf(line)[0]),
    ).toEqual([
      ...['tool-1', 'not JSON', 'not an audit record', 'not an audit record', 'not UTF-8', 'longer than 1 MiB'],
      ...['tool-2', 'torn'],
    ])
    expect(linesOf(stdout)[1]).toMatch(/audit\.jsonl, byte 2\d\d {2}"\{\\"at\\":\\"2026-01-31"$/)
    expect(stderr).toMatch(
      /^mcp-delegation: 6 lines are no audit records, the first: not JSON: audit\.jsonl, byte \d+\n$/,
    )
    expect(status).toBe(0)
    const json = await audit(folder, ['tail', '--json', 'audit.jsonl'])
    expect(linesOf(json.stdout).map((line) => (JSON.parse(line) as { tool: string }).tool)).toEqual([
      'tool-1',
      'tool-2',
    ])
    expect(json.stderr).toBe(stderr)
  })

  test('of an empty file are none', async () => {
    const folder = scratch()
    writeFileSync(join(folder, 'audit.jsonl'), '')
    expect(await audit(folder, ['tail', 'audit.jsonl'])).toEqual({ status: 0, stdout: '', stderr: '' })
  })
})

describe('a log that is followed', () => {
  test('goes on with what is written, and ends at SIGINT and SIGTERM', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const folder = scratch()
      await using sink = fileAudit(join(folder, 'audit.jsonl'))
      for (const one of records(1, 12)) await sink(one)
      const running = start(folder, ['tail', '--follow', '-n', '2', 'audit.jsonl'])
      await running.shows('tool-12')
      await sink(record(13))
      await running.shows('tool-13')
      expect(toolsOf(running.text())).toEqual(names(11, 13))
      expect(await running.end(signal)).toEqual({ status: 0, stderr: '' })
    }
  })

  test('goes on when the file is renamed and made anew', async () => {
    const folder = scratch()
    const path = join(folder, 'audit.jsonl')
    await using sink = fileAudit(path)
    await sink(record(1))
    const running = start(folder, ['tail', '-f', 'audit.jsonl'])
    await running.shows('tool-1')
    await sink(record(2))
    renameSync(path, join(folder, 'old.jsonl'))
    await sink(record(3))
    await running.shows('tool-3')
    rmSync(path)
    await sink(record(4))
    await running.shows('tool-4')
    expect(toolsOf(running.text())).toEqual(names(1, 4))
    await running.end('SIGINT')
  })

  test('goes on when the file is truncated', async () => {
    const folder = scratch()
    const path = join(folder, 'audit.jsonl')
    await write(path, records(1, 3))
    const running = start(folder, ['tail', '-f', 'audit.jsonl'])
    await running.shows('tool-3')
    truncateSync(path)
    await write(path, [record(4)])
    await running.shows('tool-4')
    expect(toolsOf(running.text())).toEqual(names(1, 4))
    await running.end('SIGINT')
  })

  test('misses nothing when the sink rotates several times between two looks', async () => {
    const folder = scratch()
    const path = join(folder, 'audit.jsonl')
    const options = { maxSize: 65_536 }
    await write(path, [record(1)], options)
    const running = start(folder, ['tail', '-f', 'audit.jsonl'])
    await running.shows('tool-1')
    running.child.kill('SIGSTOP')
    await write(path, records(2, 1500), options)
    running.child.kill('SIGCONT')
    await running.shows('tool-1500')
    expect(toolsOf(running.text())).toEqual(names(1, 1500))
    await running.end('SIGINT')
  })

  test('shows a line when it is complete, and a torn one when the file is gone', async () => {
    const folder = scratch()
    const path = join(folder, 'audit.jsonl')
    const line = JSON.stringify(record(1))
    writeFileSync(path, line.slice(0, 50))
    const running = start(folder, ['tail', '-f', 'audit.jsonl', 'other.jsonl'])
    // A sign that it has read so far.
    writeFileSync(join(folder, 'other.jsonl'), `${JSON.stringify(record(0))}\n`)
    await running.shows('tool-0')
    appendFileSync(path, `${line.slice(50)}\n${line.slice(0, 30)}`)
    await running.shows('tool-1')
    renameSync(path, join(folder, 'old.jsonl'))
    await write(path, [record(2)])
    await running.shows('tool-2')
    expect(linesOf(running.text())[2]).toMatch(/^\? +torn: audit\.jsonl, byte \d+/)
    const { status, stderr } = await running.end('SIGINT')
    expect(status).toBe(0)
    expect(stderr).toContain('1 line is no audit record: torn')
  })

  test('is waited for where it is not there yet', async () => {
    const folder = scratch()
    const running = start(folder, ['tail', '-f', 'audit.jsonl', 'there.jsonl'])
    writeFileSync(join(folder, 'there.jsonl'), `${JSON.stringify(record(1))}\n`)
    await running.shows('tool-1')
    await write(join(folder, 'audit.jsonl'), [record(2)])
    await running.shows('tool-2')
    expect((await running.end('SIGTERM')).status).toBe(0)
  })

  test('ends when nobody reads it any more', async () => {
    const folder = scratch()
    const path = join(folder, 'audit.jsonl')
    await write(path, records(1, 3))
    const script = `(node "$1" audit tail -f -n 1000 audit.jsonl; echo "status $?" >&2) | { read -r line; echo "$line"; }`
    const ended = run(folder, 'bash', ['-c', script, 'bash', program])
    let done = false
    const finished = ended.finally(() => {
      done = true
    })
    // What is written next tells it.
    for (let second = 4; !done; second++) {
      await write(path, [record(second)])
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const { stdout, stderr } = await finished
    expect(toolsOf(stdout)).toEqual(['tool-1'])
    expect(stderr).toBe('status 0\n')
  })
})
