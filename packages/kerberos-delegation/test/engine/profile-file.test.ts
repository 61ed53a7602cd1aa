import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { isProfile, writeProfile } from '../../src/engine/profile-file.ts'
import { scratch } from '../fixtures/fake-engine.ts'

test('a profile is for us alone, and goes with its folder', async () => {
  const folder = scratch()
  const { path, remove } = await writeProfile('[libdefaults]\n', folder)
  expect(readFileSync(path, 'utf8')).toBe('[libdefaults]\n')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700)
  expect(isProfile(path)).toBe(true)
  await remove()
  await remove()
  expect(readdirSync(folder)).toEqual([])
})

test('what the environment names is one absolute path', async () => {
  const folder = scratch()
  const { path } = await writeProfile('', relative(process.cwd(), folder))
  expect(isAbsolute(path)).toBe(true)
  const two = join(folder, 'a:b')
  mkdirSync(two)
  await expect(writeProfile('', two)).rejects.toThrow('must have no colon')
  expect(readdirSync(two)).toEqual([])
})
