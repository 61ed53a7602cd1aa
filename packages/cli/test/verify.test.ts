import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileAudit, fileCheckpoints } from '@mcp-delegation/core'
import { expect, test } from 'vitest'
import { audit, call, HOSTILE, linesOf, type Outcome, program, record, run, scratch, write } from './support.ts'

const { privateKey: key, publicKey } = generateKeyPairSync('ed25519')
const pem = (one: KeyObject): string => one.export({ type: 'spki', format: 'pem' }).toString()

interface Site {
  readonly folder: string
  readonly log: string
  /** Verifies the log, with what the server's administrator and the witness gave. */
  verify(...args: string[]): Promise<Outcome>
}

/** A log of 600 records in several files, whose checkpoints are held elsewhere, too. */
async function site(): Promise<Site> {
  const folder = scratch()
  const log = join(folder, 'audit.jsonl')
  const records = Array.from({ length: 600 }, (_, second) => record(second))
  const seal = { key, keyId: 'audit-1', records: 100, witness: fileCheckpoints(join(folder, 'held.jws')) }
  await write(log, records, { maxSize: 65_536, seal })
  writeFileSync(join(folder, 'key.pem'), pem(publicKey))
  return {
    folder,
    log,
    verify: (...args) => call(['audit', 'verify', '--key', join(folder, 'key.pem'), ...args, log]),
  }
}

/** Writes a file anew with some of its lines changed. */
function tamper(path: string, change: (lines: string[]) => string[]): void {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  writeFileSync(path, `${change(lines).join('\n')}\n`)
}

test('a log as it was written is fine, its rotated files included, and what that proves is said', async () => {
  const { folder, log } = await site()
  expect(readdirSync(folder).filter((name) => /^audit\.jsonl\.\d{6}$/.test(name)).length).toBeGreaterThan(1)
  const { status, stdout, stderr } = await audit(folder, [
    ...['verify', '--key', 'key.pem', '--checkpoints', 'held.jws', 'audit.jsonl'],
  ])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const lines = linesOf(stdout)
  expect(lines[0]).toMatch(/^audit\.jsonl\.000001: \d+ lines, sequence 1 to \d+$/)
  const last = /^audit\.jsonl: \d+ lines, sequence \d+ to (\d+)$/m.exec(stdout)?.[1]
  const covered = Number(last) - 1
  const point = `up to sequence ${covered}, signed at 20\\d\\d-\\S+Z with key audit-1, 0 records after it`
  expect(stdout).toMatch(/^600 records, \d+ checkpoints in the log, 0 findings$/m)
  expect(stdout).toMatch(new RegExp(`^sealed: ${point}$`, 'm'))
  expect(stdout).toMatch(new RegExp(`^held elsewhere: ${point}$`, 'm'))
  expect(lines.at(-1)).toMatch(new RegExp(`^Lines 1 to ${covered} are what was written`))
  expect(stdout).not.toContain('FOUND')
  // The same by all their names, as a shell gives them.
  const all = readdirSync(folder)
    .filter((name) => name.startsWith('audit.jsonl'))
    .map((name) => join(folder, name))
  const named = await call(['audit', 'verify', '--key', join(folder, 'key.pem'), ...all])
  expect(named.status).toBe(0)
  expect(named.stdout).toContain('600 records')
  expect(log).toBe(join(folder, 'audit.jsonl'))
})

test('without checkpoints held elsewhere it is said what is not claimed', async () => {
  const { verify } = await site()
  const { status, stdout } = await verify()
  expect(status).toBe(0)
  expect(stdout).toContain('held elsewhere: not given')
  expect(linesOf(stdout).at(-1)).toMatch(/Whether the log once went further is not claimed/)
})

test('the records after the last checkpoint are counted', async () => {
  const { folder, log, verify } = await site()
  // As after a crash: without the last checkpoint.
  tamper(log, (lines) => lines.slice(0, -1))
  const sealed = readFileSync(log, 'utf8').trimEnd().split('\n')
  const after = sealed.length - 1 - sealed.findLastIndex((line) => /"seal":/.test(line))
  expect(after).toBeGreaterThan(0)
  const { status, stdout } = await verify()
  expect(status).toBe(0)
  expect(stdout).toMatch(new RegExp(`^sealed: .*, ${after} records? after it$`, 'm'))
  const held = await verify('--checkpoints', join(folder, 'held.jws'))
  expect(held.stdout).toContain('FOUND truncated')
  expect(held.status).toBe(1)
})

test.each<[string, RegExp, (lines: string[]) => string[]]>([
  [
    'changed',
    /^FOUND changed: .*audit\.jsonl, line 5\b.*/m,
    (lines) => lines.with(4, lines[4]?.replace('tool-', 'fool-') ?? ''),
  ],
  ['removed', /^FOUND removed: .*audit\.jsonl, line \d+, sequence \d+: /m, (lines) => lines.toSpliced(4, 1)],
  [
    'inserted',
    /^FOUND inserted: .*audit\.jsonl, line \d+, sequence \d+: /m,
    (lines) => lines.toSpliced(5, 0, lines[4] ?? ''),
  ],
  ['torn', /^FOUND torn: /m, (lines) => [...lines, '{"seq":99']],
])('a line that was %s is found, with its place', async (kind, found, change) => {
  const { log, verify } = await site()
  tamper(log, change)
  // A torn line has no end.
  if (kind === 'torn') writeFileSync(log, readFileSync(log, 'utf8').trimEnd())
  const { status, stdout } = await verify()
  expect(stdout).toMatch(found)
  expect(stdout).toMatch(/, [1-9]\d* findings?$/m)
  expect(status).toBe(1)
})

test('a file that is missing, and one in the place of another, are found', async () => {
  const { folder, log, verify } = await site()
  renameSync(`${log}.000001`, join(folder, 'aside'))
  const removed = await verify()
  expect(removed.stdout).toContain('FOUND removed')
  expect(removed.status).toBe(1)
  renameSync(`${log}.000002`, `${log}.000001`)
  renameSync(join(folder, 'aside'), `${log}.000002`)
  const reordered = await verify()
  expect(reordered.stdout).toMatch(/FOUND (?:reordered|removed|inserted)/)
  expect(reordered.status).toBe(1)
})

test('a key that did not seal the log, and a log that is not sealed, prove nothing', async () => {
  const { folder, log, verify } = await site()
  writeFileSync(join(folder, 'key.pem'), pem(generateKeyPairSync('ed25519').publicKey))
  const other = await verify()
  expect(other.stdout).toContain('FOUND forged checkpoint')
  expect(linesOf(other.stdout).at(-1)).toBe('Nothing is claimed: there is no valid checkpoint.')
  expect(other.status).toBe(1)
  for (const name of readdirSync(folder)) if (name.startsWith('audit')) rmSync(join(folder, name))
  await write(log, [record(1)])
  const plain = await verify()
  expect(plain.stdout).toContain('sealed: nothing')
  expect(plain.status).toBe(1)
})

test('several keys count, of one file or of several', async () => {
  const { folder, log } = await site()
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await write(log, [record(1000)], { seal: { key: other.privateKey, previousKeys: [publicKey] } })
  const jwks = { keys: [publicKey, other.publicKey].map((one) => one.export({ format: 'jwk' })) }
  writeFileSync(join(folder, 'keys.json'), JSON.stringify(jwks))
  writeFileSync(join(folder, 'other.pem'), pem(other.publicKey))
  const [one, two] = [join(folder, 'key.pem'), join(folder, 'other.pem')]
  expect((await call(['audit', 'verify', '--key', join(folder, 'keys.json'), log])).status).toBe(0)
  const both = await call(['audit', 'verify', '--key', one, '--key', two, log])
  expect(both.stdout).toMatch(
    /^restart: .*audit\.jsonl, line \d+, sequence \d+: 0 lines without a checkpoint before it$/m,
  )
  expect(both.status).toBe(0)
  expect((await call(['audit', 'verify', '--key', one, log])).status).toBe(1)
})

test('--json is the report, in printable characters', async () => {
  const { folder, log } = await site()
  const evil = join(folder, 'evil\u202e\u001b[31m')
  renameSync(log, evil)
  tamper(evil, (lines) => lines.toSpliced(4, 1))
  for (const args of [['--json'], []]) {
    const { status, stdout } = await call(['audit', 'verify', '--key', join(folder, 'key.pem'), ...args, evil])
    expect(status).toBe(1)
    expect(HOSTILE.test(stdout)).toBe(false)
    if (args.length > 0) {
      expect(linesOf(stdout)).toHaveLength(1)
      expect(JSON.parse(stdout)).toMatchObject({ ok: false, files: [{ path: evil }] })
    }
  }
})

test.each([
  ['nowhere', 'held.jws', 'key.pem'],
  ['audit.jsonl', 'nowhere', 'key.pem'],
  ['audit.jsonl', 'held.jws', 'nowhere'],
])('of %s, %s and %s, the one that is not there is told', async (log, held, keys) => {
  const { folder } = await site()
  const args = ['--key', join(folder, keys), '--checkpoints', join(folder, held), join(folder, log)]
  const { status, stdout, stderr } = await call(['audit', 'verify', ...args])
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toBe(`mcp-delegation: ${join(folder, 'nowhere')}: no such file\n`)
})

test('tail and filter leave out what the writer of a sealed log adds', async () => {
  const { folder } = await site()
  for (const command of ['tail', 'filter']) {
    const count = command === 'tail' ? ['-n', '600'] : []
    const { stdout, stderr } = await call([
      'audit',
      command,
      ...count,
      ...readdirSync(folder)
        .filter((name) => name.startsWith('audit'))
        .map((name) => join(folder, name)),
    ])
    expect(linesOf(stdout)).toHaveLength(600)
    expect(stderr).toBe('')
  }
})

test('who reads no further than the first line is told what was found all the same', async () => {
  const { folder, log } = await site()
  tamper(log, ([first = '', ...lines]) => [first, ...lines.slice(1)])
  const command = `"$0" "$1" audit verify --key key.pem audit.jsonl | true; echo "\${PIPESTATUS[0]}"`
  const { stdout } = await run(folder, 'bash', ['-c', command, process.execPath, program])
  expect(stdout).toBe('1\n')
})

test('a pipe and a device among the files are no file to wait for', async () => {
  const { folder, log, verify } = await site()
  for (const make of [['mkfifo'], ['ln', '-s', '/dev/zero']]) {
    const [command = '', ...args] = make
    execFileSync(command, [...args, `${log}.999999`])
    expect(await verify()).toMatchObject({ status: 2, stderr: expect.stringContaining('is not a regular file') })
    rmSync(`${log}.999999`)
  }
  const held = join(folder, 'held.fifo')
  execFileSync('mkfifo', [held])
  expect(await verify('--checkpoints', held)).toMatchObject({ status: 2 })
})

test('checkpoints are taken from one file', async () => {
  const { folder, verify } = await site()
  const held = join(folder, 'held.jws')
  expect(await verify('--checkpoints', held, '--checkpoints', held)).toMatchObject({
    status: 2,
    stderr: 'mcp-delegation: audit verify takes --checkpoints once\n',
  })
})

test('a log that is written and rotated while it is read is what was written', async () => {
  const { folder, log, verify } = await site()
  const held = join(folder, 'held.jws')
  const seal = { key, keyId: 'audit-1', records: 10, witness: fileCheckpoints(held) }
  await using file = fileAudit(log, { maxSize: 65_536, seal })
  for (let round = 0; round < 5; round++) {
    const verified = verify('--checkpoints', held)
    // About one file.
    for (let second = 0; second < 150; second++) await file(record(second))
    expect(await verified, `round ${round}`).toMatchObject({ status: 0, stderr: '' })
  }
})
