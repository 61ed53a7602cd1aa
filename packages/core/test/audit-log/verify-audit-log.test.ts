import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileAudit } from '@mcp-delegation/core'
import { type AuditLogReport, auditLogFiles, type Finding, verifyAuditLog } from '@mcp-delegation/core/audit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { chained, type Files, filesOf, folder, hashIn, issued, keys, linesIn, sealed, seqIn, store } from './support.ts'

const original = folder()
const copy = folder()
const other = folder()
let log: Files
let otherLog: Files
let held: readonly string[] = []
/** The file and the index of every line, in order. */
let places: readonly { readonly name: string; readonly index: number; readonly line: string }[] = []
let names: readonly string[] = []
let lastSeq = 0
/** The last line that a checkpoint of the log covers. */
let sealedSeq = 0
const RECORDS = 10
/** Records after the last checkpoint. */
const TAIL = 7

/** Several starts, the third one after a crash within a write, and a crash in the end. */
beforeAll(async () => {
  let count = 0
  for (const records of [30, 36, 24, 40]) {
    const audit = sealed(original, {}, RECORDS)
    for (let index = 0; index < records; index += 2)
      await Promise.all(Array.from({ length: 2 }, () => audit(issued(`user-${count++}`, 1_500))))
    if (records !== 36) await audit[Symbol.asyncDispose]()
    else {
      await vi.waitFor(async () => expect(linesIn(original.witness)).toHaveLength(await sealCount()), 10_000)
      appendFileSync(original.log, '{"seq":999,"event":"delegation","outcome":"iss')
    }
  }
  const last = sealed(original, {}, RECORDS)
  for (let index = 0; index < TAIL; index++) await last(issued(`tail-${index}`, 10))
  await vi.waitFor(async () => expect(linesIn(original.witness)).toHaveLength(await sealCount()), 10_000)
  log = await filesOf(original)
  held = linesIn(original.witness)
  names = [...log.keys()]
  places = [...log].flatMap(([name, lines]) => lines.map((line, index) => ({ name, index, line })))
  lastSeq = seqIn(places.at(-1)?.line ?? '')
  sealedSeq = lastSeq - TAIL - 1
  await using spare = sealed(other, {}, RECORDS)
  for (let index = 0; index < 250; index++) await spare(issued(`other-${index}`))
  otherLog = await filesOf(other)
  await last[Symbol.asyncDispose]()
}, 60_000)
afterAll(() => {
  for (const each of [original, copy, other]) each[Symbol.dispose]()
})

/** How many checkpoints the log holds. */
async function sealCount(): Promise<number> {
  return [...(await filesOf(original)).values()].flat().filter((line) => line.includes('"seal":')).length
}

interface Reports {
  readonly alone: AuditLogReport
  readonly withHeld: AuditLogReport
}

async function verified(files: readonly string[]): Promise<Reports> {
  const alone = await verifyAuditLog({ files, keys: [keys.publicKey] })
  return { alone, withHeld: await verifyAuditLog({ files, keys: [keys.publicKey], checkpoints: held }) }
}

type Change = (files: Map<string, string[]>) => unknown

function stored(change: Change): readonly string[] {
  const files = new Map([...log].map(([name, lines]) => [name, [...lines]]))
  change(files)
  return store(copy, files)
}

const changed = (change: Change): Promise<Reports> => verified(stored(change))
const changedAlone = (change: Change): Promise<AuditLogReport> =>
  verifyAuditLog({ files: stored(change), keys: [keys.publicKey] })

const linesOf = (files: Map<string, string[]>, name: string): string[] => files.get(name) ?? []
const kindsOf = ({ findings }: AuditLogReport): readonly Finding['kind'][] => findings.map(({ kind }) => kind)

/** Every line that is part of the chain; what a crash left is not. */
const chain = (): typeof places => places.filter(({ line }) => seqIn(line) > 0)

/** Of the chain those at both ends of a file, and one in five of the others; checkpoints and records among them. */
const sample = (): typeof places =>
  chain().filter(({ name, index }, place) => {
    const length = log.get(name)?.length ?? 0
    return index < 2 || index >= length - 2 || place % 5 === 0
  })

test('an untouched log over several files, with restarts and a torn line, has no findings', async () => {
  expect(names.length).toBeGreaterThan(3)
  const { alone, withHeld } = await changed(() => {})
  expect(alone.findings).toEqual([])
  expect(alone).toMatchObject({
    ...{ ok: true, records: 130 + TAIL, firstSeq: 1, lastSeq, keptFrom: 1, unsealed: TAIL, unwitnessed: 130 + TAIL },
    ...{ sealed: { seq: sealedSeq }, witnessed: undefined },
  })
  expect(alone.claim).toContain('is not claimed')
  expect(alone.restarts).toMatchObject([
    { unsealed: 0, tornBytes: 0 },
    { tornBytes: 46 },
    { unsealed: 0, tornBytes: 0 },
    { unsealed: 0, tornBytes: 0 },
  ])
  expect(alone.restarts[1]?.unsealed).toBeGreaterThan(0)
  expect(withHeld).toMatchObject({ ok: true, findings: [], witnessed: { seq: sealedSeq }, unwitnessed: TAIL })
})

describe('whatever is done to a line is found', () => {
  const TO_A_LINE: readonly [string, Finding['kind'], (lines: string[], index: number) => unknown][] = [
    ['it is changed', 'changed', (lines, index) => lines.splice(index, 1, flipped(lines[index] ?? '', index))],
    ['it is removed', 'removed', (lines, index) => lines.splice(index, 1)],
    ['it is written twice', 'inserted', (lines, index) => lines.splice(index, 0, lines[index] ?? '')],
    ['another line is written before it', 'changed', (lines, index) => lines.splice(index, 0, '{"event":"tool"}')],
    ['it is swapped with the next', 'reordered', swap],
  ]
  test.each(TO_A_LINE)('%s', { timeout: 60_000 }, async (_, kind, change) => {
    expect(sample().filter(({ line }) => line.includes('"seal":')).length).toBeGreaterThan(5)
    for (const { name, index, line } of sample()) {
      const isLast = seqIn(line) === lastSeq
      const endsFile = index === (log.get(name)?.length ?? 0) - 1
      const beforeTorn = !(seqIn(log.get(name)?.[index + 1] ?? '') > 0)
      if (isLast || (kind === 'reordered' && (endsFile || beforeTorn))) continue
      // Before the first line there is nothing to compare it with.
      const shown = seqIn(line) === 1 && kind === 'reordered' ? 'removed' : kind
      const files = new Map([[name, [...(log.get(name) ?? [])]]])
      change(linesOf(files, name), index)
      store(copy, new Map([...log, ...files]))
      const paths = names.map((each) => join(copy.path, each))
      const report = await verifyAuditLog({ files: paths, keys: [keys.publicKey] })
      const near = report.findings.filter((finding) => Math.abs((finding.seq ?? seqIn(line)) - seqIn(line)) <= 1)
      expect(
        near.map((finding) => finding.kind),
        `line ${seqIn(line)}`,
      ).toContain(shown)
    }
  })

  test('any of its bytes is changed', async () => {
    // A log of a checkpoint and a short record.
    const [open = ''] = log.get(names[0] ?? '') ?? []
    const text = [
      open,
      ...chained(['{"seq":2,"event":"tool","hash":"'.padEnd(75, 'A').concat('"}')], 1, hashIn(open)),
      '',
    ]
    const bytes = Buffer.from(text.join('\n'))
    const path = join(copy.path, 'bytes')
    writeFileSync(path, bytes)
    expect(await verifyAuditLog({ files: [path], keys: [keys.publicKey] })).toMatchObject({ ok: true, lastSeq: 2 })
    for (let offset = 0; offset < bytes.length; offset++) {
      const tampered = Buffer.from(bytes)
      tampered[offset] = (tampered[offset] ?? 0) ^ 1
      writeFileSync(path, tampered)
      const report = await verifyAuditLog({ files: [path], keys: [keys.publicKey] })
      expect(report.ok, `byte ${offset}`).toBe(false)
    }
  })
})

function flipped(line: string, index: number): string {
  const bytes = Buffer.from(line)
  const offset = (index * 7919) % bytes.length
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  return bytes.toString('latin1')
}

function swap(lines: string[], index: number): void {
  const [one = '', next = ''] = lines.slice(index, index + 2)
  lines.splice(index, 2, next, one)
}

test('the end is cut off after a line: held checkpoints show it, and without them the claim ends earlier', async () => {
  const name = names.at(-1) ?? ''
  const length = log.get(name)?.length ?? 0
  for (let left = 1; left < length; left += left < length - TAIL - 4 ? 3 : 1) {
    const { alone, withHeld } = await changed((files) => void linesOf(files, name).splice(left))
    const last = seqIn(log.get(name)?.[left - 1] ?? '')
    expect(alone).toMatchObject({ ok: true, lastSeq: last })
    expect(alone.sealed?.seq).toBeLessThan(last)
    expect(alone.unsealed).toBeLessThanOrEqual(RECORDS)
    const shown = last <= sealedSeq
    expect(kindsOf(withHeld), `cut after ${last}`).toEqual(shown ? ['truncated'] : [])
  }
})

test('the end is cut off within a line: the torn line is shown', async () => {
  const name = names.at(-1) ?? ''
  const lines = log.get(name) ?? []
  store(copy, log)
  const path = join(copy.path, name)
  const text = readFileSync(path)
  const begin = text.length - 2 * (lines.at(-1)?.length ?? 0)
  for (let length = begin; length < text.length; length += length < text.length - 60 ? 23 : 1) {
    writeFileSync(path, text.subarray(0, length))
    const files = names.map((each) => join(copy.path, each))
    const report = await verifyAuditLog({ files, keys: [keys.publicKey] })
    expect(kindsOf(report), `${length} bytes`).toEqual(text[length - 1] === 10 ? [] : ['torn'])
  }
})

test('a file is cut, deleted, or stands in the place of another', async () => {
  for (const name of names.slice(0, -1)) {
    const cut = await changed((files) => void linesOf(files, name).splice(10))
    expect(kindsOf(cut.alone)).toContain('removed')
    const deleted = await changed((files) => void files.delete(name))
    expect(kindsOf(deleted.alone)).toEqual(['removed'])
    const swapped = await changed((files) => {
      const other = names.at(-1) ?? ''
      const lines = linesOf(files, name)
      files.set(name, linesOf(files, other))
      files.set(other, lines)
    })
    expect(swapped.alone.ok).toBe(false)
    expect(kindsOf(swapped.alone).some((kind) => kind === 'reordered' || kind === 'removed')).toBe(true)
  }
  const { alone, withHeld } = await changed((files) => void files.delete(names.at(-1) ?? ''))
  expect(alone.ok).toBe(true)
  expect(alone.sealed?.seq).toBeLessThan(sealedSeq)
  expect(kindsOf(withHeld)).toEqual(['truncated'])
})

test('a checkpoint is replaced by an older one', async () => {
  const seals = chain().filter(({ line }) => line.includes('"seal":'))
  expect(seals.length).toBeGreaterThan(15)
  for (const [index, { name, index: at, line }] of seals.entries()) {
    const older = seals[Math.max(0, index - 1)]?.line ?? ''
    if (older === line) continue
    const jws = /"jws":"[^"]*"/
    const forged = line.replace(jws, jws.exec(older)?.[0] ?? '')
    const replaced = await changedAlone((files) => linesOf(files, name).splice(at, 1, forged))
    expect(kindsOf(replaced)).toEqual(expect.arrayContaining(['forged checkpoint', 'changed']))
    const rechained = await changedAlone((files) => rewrite(files, seqIn(line), () => forged))
    expect(kindsOf(rechained)).toContain('forged checkpoint')
  }
})

/** Puts `change` of the line with this number in its place, and makes all hashes after it right. */
function rewrite(files: Map<string, string[]>, seq: number, change: (line: string) => string | undefined): void {
  const all = [...files].flatMap(([name, lines]) => lines.map((line) => ({ name, line })))
  const start = all.findIndex(({ line }) => seqIn(line) === seq)
  const kept = all.slice(0, start)
  const rest = all.slice(start).filter(({ line }) => seqIn(line) > 0)
  const texts = rest.map(({ line }) => (seqIn(line) === seq ? change(line) : line))
  const left = rest.filter((_, index) => texts[index] !== undefined)
  const before = kept.findLast(({ line }) => seqIn(line) > 0)?.line ?? ''
  const hashes = chained(
    texts.filter((line) => line !== undefined),
    seqIn(before) || 0,
    hashIn(before) || 'A'.repeat(43),
  )
  for (const name of files.keys()) files.set(name, [])
  for (const { name, line } of kept) files.get(name)?.push(line)
  for (const [index, { name }] of left.entries()) files.get(name)?.push(hashes[index] ?? '')
}

test('the chain is made right again without the key: it does not lead to what was signed', async () => {
  const records = chain().filter(({ line }) => !line.includes('"seal":'))
  for (const { line } of records.filter((_, index) => index % 8 === 0 || index >= records.length - TAIL)) {
    const seq = seqIn(line)
    const edited = await changedAlone((files) => rewrite(files, seq, (text) => text.replace('user-', 'evil-')))
    const removed = await changedAlone((files) => rewrite(files, seq, () => undefined))
    const sealedBefore = seq <= sealedSeq
    if (sealedBefore) {
      expect(kindsOf(edited), `line ${seq}`).toContain('changed')
      expect(removed.ok, `line ${seq}`).toBe(false)
    } else {
      // What nobody sealed is claimed against nobody.
      expect(edited).toMatchObject({ ok: true, sealed: { seq: sealedSeq }, unsealed: TAIL })
      expect(removed).toMatchObject({ ok: true, sealed: { seq: sealedSeq }, unsealed: TAIL - 1 })
    }
  }
})

test('checkpoints are taken out of a chain that is made right: too many lines stand without one', async () => {
  const { alone, withHeld } = await changed((files) => {
    const kept = new Set([names[0]])
    for (const [name, lines] of files)
      files.set(name, kept.has(name) ? lines.filter((line, index) => index === 0 || !line.includes('"seal":')) : [])
    const lines = linesOf(files, names[0] ?? '')
    files.set(names[0] ?? '', [lines[0] ?? '', ...chained(lines.slice(1), 1, hashIn(lines[0] ?? ''))])
  })
  expect(kindsOf(alone)).toEqual(['missing checkpoint'])
  expect(alone).toMatchObject({ sealed: { seq: 0 } })
  expect(withHeld.counts).toMatchObject({ changed: expect.any(Number), truncated: 1 })
})

test('a part of another log is put in', async () => {
  const foreign = [...otherLog.values()]
  const replaced = await changed((files) => void files.set(names[1] ?? '', [...(foreign[1] ?? [])]))
  expect(kindsOf(replaced.alone)).toContain('foreign log')
  const appended = await changed((files) => void linesOf(files, names.at(-1) ?? '').push(...(foreign[0] ?? [])))
  expect(kindsOf(appended.alone)).toContain('foreign log')
  const whole = await verified(store(copy, otherLog))
  expect(whole.alone.ok).toBe(true)
  expect(whole.withHeld.counts['foreign log']).toBe(held.length)
})

test('a log that was cut and continued contradicts what is held', async () => {
  const folderOfIt = folder()
  const first = sealed(folderOfIt, {}, RECORDS)
  for (let index = 0; index < 60; index++) await first(issued(`user-${index}`))
  await first[Symbol.asyncDispose]()
  writeFileSync(
    folderOfIt.log,
    linesIn(folderOfIt.log)
      .slice(0, 30)
      .map((line) => `${line}\n`)
      .join(''),
  )
  const second = sealed(folderOfIt, {}, RECORDS)
  for (let index = 0; index < 60; index++) await second(issued(`again-${index}`))
  await second[Symbol.asyncDispose]()
  const files = await auditLogFiles(folderOfIt.log)
  const alone = await verifyAuditLog({ files, keys: [keys.publicKey] })
  expect(alone).toMatchObject({ ok: true, restarts: [{ unsealed: 7 }] })
  const report = await verifyAuditLog({ files, keys: [keys.publicKey], checkpoints: folderOfIt.witness })
  expect(kindsOf(report)).toEqual(expect.arrayContaining(['changed', 'truncated']))
  folderOfIt[Symbol.dispose]()
})

test('files that keep deleted are no finding, and any other is', async () => {
  const kept = folder()
  const audit = sealed(kept, { keep: 2 })
  for (let index = 0; index < 500; index++) await audit(issued(`user-${index}`))
  await audit[Symbol.asyncDispose]()
  const files = await auditLogFiles(kept.log)
  expect(files).toHaveLength(3)
  const given = { keys: [keys.publicKey], checkpoints: kept.witness }
  const report = await verifyAuditLog({ files, ...given })
  expect(report.findings).toEqual([])
  expect(report.keptFrom).toBe(report.firstSeq)
  expect(report.keptFrom).toBeGreaterThan(100)
  rmSync(files[0] ?? '')
  expect(kindsOf(await verifyAuditLog({ files: files.slice(1), ...given }))).toEqual(['removed'])
  kept[Symbol.dispose]()
})

test('checkpoints of another key count for nothing, here and elsewhere', async () => {
  const { publicKey } = generateKeyPairSync('ed25519')
  const report = await verifyAuditLog({ files: store(copy, log), keys: [publicKey], checkpoints: held })
  expect(report).toMatchObject({ sealed: undefined, witnessed: undefined, checkpoints: 0 })
  expect(report.claim).toContain('Nothing is claimed')
  expect(report.counts['forged checkpoint']).toBeGreaterThan(held.length)
})

test('a plain log, hostile lines and a file that is not there are findings', async () => {
  const plain = fileAudit(join(copy.path, 'plain'))
  await plain(issued('user'))
  await plain[Symbol.asyncDispose]()
  const deep = '['.repeat(900_000)
  const hostile = [
    ...[`{"seq":1,"a":${deep},"hash":"${'A'.repeat(43)}"}`, 'x'.repeat(3_000_000), '{"seq":0,"hash":"x"}', '', 'null'],
    ...[`{"seq":9007199254740993,"__proto__":{"x":1},"hash":"${'A'.repeat(43)}"}`, '{"seq":1,"seal":"open","jws":{}}'],
    `{"seq":5,"seal":"open","jws":"${'e'.repeat(5_000)}","__proto__":1,"hash":"${'A'.repeat(43)}"}`,
    `{"seq":9,"seal":${deep},"hash":"${'A'.repeat(43)}"}`,
  ]
  const path = join(copy.path, 'hostile')
  const invalid = Buffer.concat([Buffer.from(hostile.join('\n')), Buffer.from([10, 0xff, 0xfe, 0, 10, 0xc3])])
  writeFileSync(path, invalid)
  const files = [join(copy.path, 'plain'), path, join(copy.path, 'missing')]
  const report = await verifyAuditLog({ files, keys: [keys.publicKey], checkpoints: path })
  expect(report.counts).toMatchObject({ changed: expect.any(Number), torn: 1, unreadable: 1 })
  expect(report.sealed).toBeUndefined()
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  expect(readFileSync(path).equals(invalid)).toBe(true)
})

test('options are checked', async () => {
  const wrong: readonly [object, string][] = [
    [{ files: [], keys: [keys.publicKey] }, '"files"'],
    [{ files: ['x'], keys: [] }, '"keys"'],
    [{ files: ['x'], keys: [{ kty: 'oct', k: 'AAAA' }] }, '"keys\\[0\\]"'],
    [{ files: ['x'], keys: [generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey] }, '"keys\\[0\\]"'],
    [{ files: ['x'], keys: [keys.publicKey], checkpoints: 5 }, '"checkpoints"'],
  ]
  for (const [options, message] of wrong)
    await expect(verifyAuditLog(options as never)).rejects.toThrow(new RegExp(`^${message}`))
})
