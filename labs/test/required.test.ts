import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { findPath, isAvailable, isPrivileged, missingPackages } from '../src/required.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'required-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

test('a package is there when its program or its path is', () => {
  const table = join(folder, 'debian.json')
  writeFileSync(table, JSON.stringify({ dash: 'sh', 'libc6-bin': '/etc/ld.so.conf', folder }))
  expect(missingPackages(table)).toEqual([])
  writeFileSync(table, JSON.stringify({ dash: 'sh', one: 'no-such-program', two: '/no/such/*/path' }))
  expect(missingPackages(table)).toEqual([
    'missing, on Debian as root: apt-get install --no-install-recommends one two',
  ])
})

test('a star in a path stands for any one folder', () => {
  writeFileSync(join(folder, 'file'), '')
  expect(findPath(`${join(folder, '..')}/*/file`)).toMatch(/\/file$/)
  expect(findPath(`${folder}/*/file`)).toBeUndefined()
})

test('tests are skipped aloud where something lacks, and fail where the real thing is required', () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  vi.stubEnv('REQUIRE_REAL', '')
  expect(isAvailable('the lab', [])).toBe(true)
  expect(said).not.toHaveBeenCalled()
  expect(isAvailable('the lab', ['no samba', 'no root'])).toBe(false)
  expect(said).toHaveBeenCalledWith('SKIPPED: the lab is not there: no samba; no root\n')
  vi.stubEnv('REQUIRE_REAL', '1')
  expect(isAvailable('the lab', [])).toBe(true)
  expect(() => isAvailable('the lab', ['no samba'])).toThrow('the lab is not there: no samba')
})

test('a test that lacks privileges is skipped aloud, and none is for any other reason where all must be there', () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  vi.stubEnv('REQUIRE_REAL', '1')
  expect(isPrivileged('SMB', ['not root'], ['no samba'])).toBe(false)
  expect(write).toHaveBeenCalledWith('SKIPPED: SMB (privileged): not root\n')
  expect(isPrivileged('SMB', [], [])).toBe(true)
  expect(() => isPrivileged('SMB', [], ['no samba'])).toThrow('no samba')
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})
