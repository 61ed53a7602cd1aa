import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { audit, call, HOSTILE, linesOf, program, record, run, scratch, write } from './support.ts'

test('--version is the version', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(await run(scratch(), process.execPath, [program, '--version'])).toEqual({
    status: 0,
    stdout: `${version}\n`,
    stderr: '',
  })
})

test.each([
  [['--help'], 'Usage: mcp-delegation audit COMMAND …'],
  [['audit', '-h'], 'Usage: mcp-delegation audit COMMAND …'],
  [['audit', 'tail', '--help'], 'Usage: mcp-delegation audit tail [-n N] [--follow] [--json] FILE…'],
  [['audit', 'filter', '--help'], 'Usage: mcp-delegation audit filter [CONDITION]… [--json] FILE…'],
  [['audit', 'verify', '-h'], 'Usage: mcp-delegation audit verify --key KEY… [--checkpoints FILE] [--json] FILE…'],
])('%j says how to call it, in lines for a terminal', async (args, usage) => {
  const { status, stdout, stderr } = await call(args)
  expect({ status, stderr, usage: stdout.split('\n')[0] }).toEqual({ status: 0, stderr: '', usage })
  expect(linesOf(stdout).filter((line) => line.length > 120)).toEqual([])
})

test('help names every option', async () => {
  for (const name of ['tail', 'filter', 'verify']) {
    const source = readFileSync(new URL(`../src/${name}.ts`, import.meta.url), 'utf8')
    const conditions = name === 'filter' ? readFileSync(new URL('../src/conditions.ts', import.meta.url), 'utf8') : ''
    const options = [...`${source}${conditions}`.matchAll(/^ {2}(\w+): (?:\{ type|'\w+',$)/gm)].map(
      ([, option]) => option,
    )
    expect(options.length).toBeGreaterThanOrEqual(3)
    const { stdout } = await call(['audit', name, '--help'])
    expect(options.filter((option) => !stdout.includes(`--${option}`))).toEqual([])
  }
})

test.each([
  [[], 'give a command: audit tail, audit filter, audit verify'],
  [['audit'], "there is no command 'audit', but audit tail, audit filter, audit verify"],
  [['audit', 'erase'], "there is no command 'audit erase', but"],
  [['tail', 'x'], "there is no command 'tail x', but"],
  [['audit', 'toString'], "there is no command 'audit toString', but"],
  [['audit', 'tail'], 'audit tail needs a FILE'],
  [['audit', 'filter'], 'audit filter needs a FILE, or - for standard input'],
  [['audit', 'verify', '--key', 'x'], 'audit verify needs a FILE'],
  [['audit', 'verify', 'x'], 'audit verify needs --key'],
  [['audit', 'tail', '--colour', 'x'], "Unknown option '--colour'"],
  [['audit', 'tail', '--subject', 'x'], "Unknown option '--subject'"],
  [['audit', 'filter', '-x', 'x'], "Unknown option '-x'"],
  [['audit', 'filter', 'x', '--event'], "Option '--event <value>' argument missing"],
  [['audit', 'filter', 'x', '--json=1'], "Option '--json' does not take an argument"],
  [['audit', 'tail', '-n', 'x', 'x'], "--lines must be a number, not 'x'"],
  [['audit', 'tail', '-n=-1', 'x'], "--lines must be a number, not '=-1'"],
  [
    ['audit', 'filter', '--event', 'tool', '--event', 'toolz', 'x'],
    '--event must be one of delegation, refresh, tool,',
  ],
  [['audit', 'filter', '--outcome', 'constructor', 'x'], '--outcome must be one of issued, reused, refused, failed,'],
  [['audit', 'filter', '--since', 'now', 'x'], '--since must be an instant such as'],
  [['audit', 'filter', '--until', '2026-01-31T10:00:00', 'x'], '--until must be an instant such as'],
  [['audit', 'tail', 'nowhere'], 'nowhere: no such file'],
  [['audit', 'filter', 'nowhere'], 'nowhere: no such file'],
  [['audit', 'filter', '/etc/passwd/x'], '/etc/passwd/x: no such file'],
  [['audit', 'tail', '/'], '/: is a directory'],
  [['audit', 'tail', '-f', '/'], '/: is a directory'],
  [['audit', 'filter', '/'], '/: is a directory'],
  [['audit', 'tail', '/dev/null'], '/dev/null: is not a regular file'],
  [['audit', 'verify', '--key', 'nowhere', 'x'], 'nowhere: no such file'],
  [['audit', 'tail', '\u001b[31m\u202e'], '\\u{1b}[31m\\u{202e}: no such file'],
])('%j is a wrong call: one line, and exit status 2', async (args, message) => {
  const { status, stdout, stderr } = await call(args)
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(linesOf(stderr)).toHaveLength(1)
  expect(stderr.startsWith(`mcp-delegation: ${message}`), stderr).toBe(true)
  expect(HOSTILE.test(stderr)).toBe(false)
})

test('the program itself ends with that status, and with that line', async () => {
  expect(await audit(scratch(), ['tail', 'nowhere'])).toEqual({
    status: 2,
    stdout: '',
    stderr: 'mcp-delegation: nowhere: no such file\n',
  })
})

test('a disk that is full is told', async () => {
  const folder = scratch()
  await write(join(folder, 'audit.jsonl'), [record(1)])
  const script = `node "$1" audit filter audit.jsonl >/dev/full`
  const { status, stderr } = await run(folder, 'bash', ['-c', script, 'bash', program])
  expect(status).toBe(2)
  expect(stderr).toMatch(/^mcp-delegation: ENOSPC: .*\n$/)
})

test('after --, a name is a file whatever it looks like', async () => {
  const folder = scratch()
  writeFileSync(join(folder, '--json'), `${JSON.stringify(record(1))}\n`)
  expect((await audit(folder, ['tail', '--', '--json'])).stdout).toContain('tool=tool-1')
})
