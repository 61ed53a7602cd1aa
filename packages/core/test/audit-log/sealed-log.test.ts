import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fileAudit } from '@mcp-delegation/core'
import { type AuditLogReport, auditLogFiles, readAuditLog, verifyAuditLog } from '@mcp-delegation/core/audit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chained, type Folder, folder, hashIn, issued, keys, linesIn, parsed, type Sink, sealed } from './support.ts'

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place[Symbol.dispose]())

async function report(checkpoints?: string): Promise<AuditLogReport> {
  return verifyAuditLog({ files: await auditLogFiles(place.log), keys: [keys.publicKey], checkpoints })
}

const many = (audit: Sink, count: number, name = 'user'): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, (_, index) => audit(issued(`${name}-${index}`))))

test('64 callers at once over many rotated files: every record once, in files of the size, none deleted', async () => {
  const audit = sealed(place)
  const caller = async (_: unknown, name: number): Promise<void> => {
    for (let index = 0; index < 20; index++) await audit(issued(`${name}-${index}`))
  }
  await Promise.all(Array.from({ length: 64 }, caller))
  await audit[Symbol.asyncDispose]()
  const files = await auditLogFiles(place.log)
  expect(files.length).toBeGreaterThan(10)
  expect(files[0]).toBe(`${place.log}.000001`)
  const found = await report(place.witness)
  expect(found).toMatchObject({ ok: true, records: 64 * 20, unsealed: 0 })
  for (const { bytes } of found.files) expect(bytes).toBeLessThanOrEqual(65_536)
  const subjects = new Set(files.flatMap((file) => parsed(file)).flatMap(({ subject }) => subject ?? []))
  expect(subjects.size).toBe(64 * 20)
})

test('a plain file is rotated too, and old ones are deleted', async () => {
  const audit = fileAudit(place.log, { maxSize: 65_536, keep: 2 })
  for (let index = 0; index < 40; index++) await many(audit, 20, `${index}`)
  await audit[Symbol.asyncDispose]()
  const files = await auditLogFiles(place.log)
  expect(files).toHaveLength(3)
  for (const file of files) expect(readFileSync(file).length).toBeLessThanOrEqual(65_536)
  const last = linesIn(files.at(-1) ?? '').length + linesIn(files[1] ?? '').length + linesIn(files[0] ?? '').length
  const subjects = files.flatMap((file) => parsed(file)).map(({ subject }) => subject)
  expect(subjects).toHaveLength(last)
  expect(subjects.at(-1)).toBe('39-19')
})

test('no accepted record is missing however often the writer is killed', async () => {
  const child = fileURLToPath(new URL('writing-child.mjs', import.meta.url))
  const pem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const accepted: string[] = []
  for (let run = 0; run < 6; run++) {
    const args = [child, place.log, Buffer.from(pem).toString('base64'), String(run)]
    const writer = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.length > 1_500 + run * 700) writer.kill('SIGKILL')
    })
    await once(writer, 'close')
    accepted.push(...output.slice(0, output.lastIndexOf('\n')).split('\n'))
  }
  // What a write that was cut short would leave.
  appendFileSync(place.log, '{"seq":')
  await using audit = sealed(place)
  await audit(issued('last'))
  const files = await auditLogFiles(place.log)
  const written = new Set<unknown>()
  for await (const { value } of readAuditLog({ files })) written.add(value?.['subject'])
  expect(accepted.length).toBeGreaterThan(1_000)
  expect(accepted.filter((subject) => !written.has(subject))).toEqual([])
  const found = await report(`${place.log}.checkpoints`)
  expect(found.findings).toEqual([])
  expect(found.restarts.at(-1)).toMatchObject({ tornBytes: 7 })
}, 60_000)

test('a file that was moved away or deleted is followed by a new one that continues the chain', async () => {
  await using audit = sealed(place)
  await many(audit, 5)
  renameSync(place.log, `${place.log}.moved`)
  await many(audit, 5)
  const files = [`${place.log}.moved`, place.log]
  expect(await verifyAuditLog({ files, keys: [keys.publicKey] })).toMatchObject({ ok: true, records: 10 })
  rmSync(place.log)
  await many(audit, 5)
  expect((await verifyAuditLog({ files, keys: [keys.publicKey] })).counts).toEqual({ removed: 1 })
})

test('where another program writes to the file or cuts it, nothing is accepted until it is moved away', async () => {
  const audit = sealed(place)
  await many(audit, 5)
  copyFileSync(place.log, `${place.log}.copied`)
  truncateSync(place.log)
  await expect(audit(issued('a'))).rejects.toThrow('another program')
  await expect(audit(issued('b'))).rejects.toThrow('another program')
  expect(readFileSync(place.log, 'utf8')).toBe('')
  rmSync(place.log)
  await audit(issued('c'))
  expect(await verifyAuditLog({ files: [`${place.log}.copied`, place.log], keys: [keys.publicKey] })).toMatchObject({
    ok: true,
    records: 6,
  })
  await audit[Symbol.asyncDispose]()
})

test('of two writers on one file the first one stops, and the chain does not fork', async () => {
  await using first = sealed(place)
  await many(first, 5)
  await using second = sealed(place)
  await many(second, 5, 'second')
  await expect(first(issued('late'))).rejects.toThrow('another program')
  await many(second, 5, 'again')
  expect(await report()).toMatchObject({ ok: true, records: 15 })
})

test('a file that is something else is not continued, nor one that another key sealed', async () => {
  appendFileSync(place.log, '{"event":"tool"}\n')
  await using audit = sealed(place)
  await expect(audit(issued('a'))).rejects.toThrow('does not begin as a log')
  expect(readFileSync(place.log, 'utf8')).toBe('{"event":"tool"}\n')
  rmSync(place.log)
  await audit(issued('b'))
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await using stranger = fileAudit(place.log, { seal: { key: privateKey } })
  await expect(stranger(issued('c'))).rejects.toThrow('does not begin as a log')
  await using heir = fileAudit(place.log, { seal: { key: privateKey, previousKeys: [keys.publicKey] } })
  await heir(issued('d'))
  const both = await verifyAuditLog({ files: [place.log], keys: [keys.publicKey, publicKey] })
  expect(both).toMatchObject({ ok: true, records: 2 })
})

test('a witness that fails is asked again, and while it lacks too many nothing is accepted', async () => {
  const taken: string[] = []
  let works = false
  const witness = (checkpoint: string): void => {
    if (!works) throw new Error('unreachable')
    taken.push(checkpoint)
  }
  const warnings: object[] = []
  const ignore = (): void => {}
  const log = { debug: ignore, info: ignore, warn: (fields: object) => warnings.push(fields), error: ignore }
  const seal = { key: keys.privateKey, records: 2, witness, maxUnwitnessed: 3 }
  const audit = fileAudit(place.log, { seal, log })
  const results: string[] = []
  for (let index = 0; index < 12; index++)
    await Promise.resolve(audit(issued(`${index}`))).then(
      () => results.push('accepted'),
      (error: Error) => results.push(error.message),
    )
  expect(results.filter((result) => result === 'accepted')).toHaveLength(6)
  expect(results.at(-1)).toContain('witness')
  expect(warnings.length).toBeGreaterThan(0)
  works = true
  await expect
    .poll(
      () =>
        Promise.resolve(audit(issued('again'))).then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true)
  await audit[Symbol.asyncDispose]()
  const found = await verifyAuditLog({ files: [place.log], keys: [keys.publicKey], checkpoints: taken })
  expect(found).toMatchObject({ ok: true, records: 7, unsealed: 0, unwitnessed: 0 })
})

test('a quiet log is sealed after the interval', async () => {
  await using audit = fileAudit(place.log, { seal: { key: keys.privateKey, interval: 20 } })
  await audit(issued('a'))
  await expect.poll(() => linesIn(place.log).length).toBe(3)
  expect(await report()).toMatchObject({ ok: true, unsealed: 0 })
})

/** Runs `script` with a tmpfs of 256 KiB at the path that it gets; only root can mount one. */
function onSmallDisk(script: string): string {
  const mount = 'mount -t tmpfs -o size=256k tmpfs "$1" && exec "$2" --input-type=module -e "$3" "$1"'
  const args = ['-m', 'sh', '-c', mount, 'sh', place.path, process.execPath, script]
  return execFileSync('unshare', args, { encoding: 'utf8', cwd: dirname(fileURLToPath(import.meta.url)) })
}

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { stdio: 'ignore' })
    return true
  } catch {
    process.stderr.write('SKIPPED: a full disk: a tmpfs can be mounted by root only (privileged)\n')
    return false
  }
}

test.skipIf(!canMount())('on a full disk nothing is accepted, and it goes on by itself once there is room', () => {
  const script = `
    import { readFileSync, rmSync, writeFileSync } from 'node:fs'
    import { generateKeyPairSync } from 'node:crypto'
    import { fileAudit } from '@mcp-delegation/core'
    import { verifyAuditLog } from '@mcp-delegation/core/audit'
    const path = process.argv[1] + '/audit.jsonl'
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    writeFileSync(process.argv[1] + '/filler', Buffer.alloc(100_000))
    const audit = fileAudit(path, { seal: { key: privateKey, records: 20 } })
    const accepted = [], refused = []
    let again = 0
    for (let index = 0; index < 60; index++)
      await Promise.all(Array.from({ length: 7 }, async (_, each) => {
        const subject = index + '-' + each
        try {
          await audit({ event: 'tool', outcome: 'ok', at: new Date(), subject, padding: 'x'.repeat(500) })
          accepted.push(subject)
          if (refused.length > 0 && again++ === 0) rmSync(process.argv[1] + '/filler', { force: true })
        } catch (error) {
          refused.push(error.code)
          if (refused.length === 30) rmSync(process.argv[1] + '/filler')
        }
      }))
    await audit[Symbol.asyncDispose]()
    const subjects = readFileSync(path, 'utf8').trim().split('\\n').flatMap((line) => JSON.parse(line).subject ?? [])
    const report = await verifyAuditLog({ files: [path], keys: [publicKey] })
    console.log(JSON.stringify({ accepted: accepted.length, codes: [...new Set(refused)], refused: refused.length,
      same: JSON.stringify(subjects) === JSON.stringify(accepted), ok: report.ok }))
  `
  const result = JSON.parse(onSmallDisk(script)) as { accepted: number; refused: number }
  expect(result).toMatchObject({ codes: ['ENOSPC'], same: true, ok: true })
  expect(result.refused).toBeGreaterThanOrEqual(30)
  expect(result.accepted + result.refused).toBe(420)
  expect(existsSync(join(place.path, 'audit.jsonl'))).toBe(false)
})

test('a line that lacks its end alone is no line of the log: it goes on before it, and verifies', async () => {
  await using audit = sealed(place)
  await many(audit, 3)
  await audit[Symbol.asyncDispose]()
  const whole = readFileSync(place.log)
  const ends = [...whole.keys()].filter((at) => whole[at] === 10).slice(-2)
  for (const cut of ends.flatMap((end) => [end - 1, end, end + 1])) {
    writeFileSync(place.log, whole.subarray(0, cut))
    await using next = sealed(place)
    await next(issued('next'))
    await next[Symbol.asyncDispose]()
    expect((await report()).findings, `${cut} of ${whole.length} bytes`).toEqual([])
  }
})

test('that a writer started on lines without a checkpoint can not be hidden without the key', async () => {
  const start = async (name: string): Promise<void> => {
    await using audit = sealed(place)
    await audit(issued(name))
  }
  await start('a')
  const [last = ''] = linesIn(place.log).slice(-1)
  const forged = chained(['{"seq":1,"event":"tool","hash":"x"}'.replace('"x"', `"${'A'.repeat(43)}"`)], 3, hashIn(last))
  appendFileSync(place.log, `${forged.join('')}\n`)
  await start('b')
  expect((await report()).restarts).toMatchObject([{ unsealed: 1 }])
  const lines = linesIn(place.log)
  // The begin of the second writer is made to look like a checkpoint, and what follows it is cut off.
  const disguised = chained(
    [(lines[4] ?? '').replace('"seal":"open"', '"seal":"checkpoint"')],
    4,
    hashIn(lines[3] ?? ''),
  )
  writeFileSync(place.log, `${[...lines.slice(0, 4), ...disguised].join('\n')}\n`)
  expect(await report()).toMatchObject({ ok: true, restarts: [{ unsealed: 1 }] })
})

test('files that others put beside those that were rotated push none of them out', async () => {
  await using audit = sealed(place, { keep: 5 })
  const write = async (): Promise<unknown> => many(audit, 100)
  for (let round = 0; round < 8; round++) await write()
  const [newest = ''] = (await auditLogFiles(place.log)).slice(-2)
  const number = Number(newest.slice(-6))
  const junk = [1, 2, 3].map((more) => `${place.log}.${String(number + more).padStart(6, '0')}`)
  const copies = [1, 2, 3].map((zeros) => `${place.log}.${'0'.repeat(zeros)}${newest.slice(-6)}`)
  for (const path of [...junk, ...copies]) copyFileSync(newest, path)
  for (let round = 0; round < 2; round++) await write()
  for (const path of [...junk, ...copies]) rmSync(path, { force: true })
  await audit[Symbol.asyncDispose]()
  expect((await auditLogFiles(place.log)).length).toBeGreaterThanOrEqual(6)
  expect((await report()).findings).toEqual([])
})
