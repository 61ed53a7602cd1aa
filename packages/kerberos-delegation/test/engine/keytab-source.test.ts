import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type KeytabSource, openKeytabSource } from '../../src/engine/keytab-source.ts'
import { copyKeytab } from '../../src/engine/native/keytab-memory.ts'
import { readKeytab } from '../../src/keytab.ts'
import { keytabOf } from '../keytab-of.ts'

const OWN = 'svc@CORP.EXAMPLE'

function folderOf() {
  const folder = mkdtempSync(join(tmpdir(), 'keytab-source-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A keytab file, and what keeps an eye on it. */
async function watched(principals: readonly string[] = [OWN]) {
  const folder = folderOf()
  const path = join(folder, 'keytab')
  const state = { now: 1_000_000 }
  const reported: string[] = []
  const replace = (data: string | Uint8Array): void => {
    writeFileSync(`${path}.new`, data, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  replace(keytabOf(principals))
  const source = await openKeytabSource({
    path,
    principal: OWN,
    now: () => state.now,
    report: (problem) => void reported.push(problem),
  })
  return { folder, path, state, reported, replace, source }
}

/** Whose keys are there now. */
function holders(source: KeytabSource): readonly string[] {
  const path = join(folderOf(), 'copy')
  copyKeytab(`FILE:${path}`, [source.current.value.name]).close()
  chmodSync(path, 0o600)
  return readKeytab(path).entries.map(({ principal }) => principal)
}

test('the keys of the file are there, and still when the file has gone', async () => {
  const { source, path, reported } = await watched([OWN, 'HTTP/mcp.corp.example@CORP.EXAMPLE'])
  const before = source.current
  unlinkSync(path)
  expect(await source.refresh({ now: true })).toBe(false)
  expect(await source.refresh({ now: true })).toBe(false)
  expect(source.current).toBe(before)
  expect(holders(source).toSorted()).toEqual(['HTTP/mcp.corp.example@CORP.EXAMPLE', OWN])
  expect(reported).toHaveLength(1)
  expect(reported[0]).toContain('ENOENT')
})

test('a new file is looked for once per second, or at once when told', async () => {
  const { source, state, replace } = await watched()
  replace(keytabOf([OWN, 'second@CORP.EXAMPLE']))
  state.now += 999
  expect(await source.refresh()).toBe(false)
  state.now += 1
  expect(await Promise.all([source.refresh(), source.refresh({ now: true })])).toEqual([true, true])
  expect(holders(source)).toContain('second@CORP.EXAMPLE')
  replace(keytabOf([OWN, 'third@CORP.EXAMPLE']))
  expect(await source.refresh({ now: true })).toBe(true)
  expect(await source.refresh({ now: true })).toBe(false)
  expect(holders(source)).toContain('third@CORP.EXAMPLE')
})

test.each([
  ['is no keytab', 'nonsense', 'is not a keytab'],
  ['is without our key', keytabOf(['other@CORP.EXAMPLE']), 'has no key of svc@CORP.EXAMPLE'],
  ['is empty', '', 'is empty'],
])('a file that %s is told once and changes nothing; the next good one is taken', async (_, data, problem) => {
  const { source, reported, replace } = await watched()
  const before = source.current
  replace(data)
  expect(await source.refresh({ now: true })).toBe(false)
  expect(await source.refresh({ now: true })).toBe(false)
  expect(source.current).toBe(before)
  expect(reported).toHaveLength(1)
  expect(reported[0]).toContain(problem)
  replace(keytabOf([OWN, 'second@CORP.EXAMPLE']))
  expect(await source.refresh({ now: true })).toBe(true)
})

test('earlier keys stay while a ticket that was made with them lives, and no longer', async () => {
  const { source, state, replace } = await watched([OWN, 'first@CORP.EXAMPLE'])
  source.current.value.usableUntil = state.now + 10_000
  replace(keytabOf([OWN, 'second@CORP.EXAMPLE']))
  expect(await source.refresh({ now: true })).toBe(true)
  expect(holders(source).toSorted()).toEqual(['first@CORP.EXAMPLE', 'second@CORP.EXAMPLE', OWN])
  state.now += 10_000
  replace(keytabOf([OWN]))
  expect(await source.refresh({ now: true })).toBe(true)
  expect(holders(source)).toEqual([OWN])
})

test('keys that are in use stay until the use ends', async () => {
  const { source, replace } = await watched()
  const { current } = source
  const { promise, resolve } = withResolvers()
  const use = current.use(async ({ name }) => {
    await promise
    return holders({ ...source, current: { ...current, value: { ...current.value, name } } })
  })
  replace(keytabOf([OWN, 'second@CORP.EXAMPLE']))
  expect(await source.refresh({ now: true })).toBe(true)
  resolve()
  expect(await use).toEqual([OWN])
})

test('a file behind symbolic links is found again where they lead elsewhere', async () => {
  const { folder, path } = await watched()
  const versions = ['one', 'two'].map((name) => join(folder, name))
  for (const [index, version] of versions.entries()) {
    mkdirSync(version)
    const names = index === 0 ? [OWN] : [OWN, 'second@CORP.EXAMPLE']
    writeFileSync(join(version, 'keytab'), keytabOf(names), { mode: 0o600 })
  }
  const link = join(folder, 'data')
  symlinkSync(versions[0] as string, link)
  rmSync(path)
  symlinkSync(join(link, 'keytab'), path)
  const source = await openKeytabSource({ path, principal: OWN, now: () => 0, report: () => {} })
  rmSync(link)
  symlinkSync(versions[1] as string, link)
  expect(await source.refresh({ now: true })).toBe(true)
  expect(holders(source)).toContain('second@CORP.EXAMPLE')
})

test('a first file that is of no use is a failure of the keytab', async () => {
  const open = (path: string) => openKeytabSource({ path, principal: OWN, now: () => 0, report: () => {} })
  const { path } = await watched(['svc@CORP.EXAMPLE'])
  chmodSync(path, 0o644)
  await expect(open(path)).rejects.toMatchObject({
    failure: { stage: 'keytab', text: expect.stringContaining('0644') },
  })
  await expect(open(`${path}.none`)).rejects.toMatchObject({ failure: { stage: 'keytab' } })
})

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
