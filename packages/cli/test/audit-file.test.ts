import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { auditLogFiles } from '@mcp-delegation/core/audit'
import { expect, test } from 'vitest'
import { followedFile, lastRecords } from '../src/audit-file.ts'
import { scratch } from './support.ts'

/** Where the lines of `text` begin that are records, read from the beginning. */
function beginsOf(text: string): number[] {
  let start = 0
  return text.split('\n').flatMap((line) => {
    const begin = start
    start += line.length + 1
    return line === '' || line.startsWith('{"seq":7,"seal":') ? [] : [begin]
  })
}

const SEAL = '{"seq":7,"seal":1}'

test('the last records are found, whatever stands at the borders of what is read from the end', async () => {
  const path = join(scratch(), 'audit.jsonl')
  // Lengths that put beginnings and ends around the border, which lies 65,536 bytes before the end.
  for (let shift = -42; shift <= 3; shift++) {
    const tail = `${'d'.repeat(65_536 + shift - 602)}\n${'e'.repeat(599)}\n`
    for (const [middle, end] of [
      [`c${'c'.repeat(49)}\n`, tail],
      [`${SEAL}\n`, tail],
      ['\n\n', `${tail}torn`],
    ] as const) {
      const text = `a\n${SEAL}\n\n${'b'.repeat(70_000)}\n${middle}${end}`
      writeFileSync(path, text)
      await using file = await open(path)
      const begins = beginsOf(text)
      for (let count = 1; count <= begins.length + 1; count++) {
        const found = Math.min(count, begins.length)
        const start = count > begins.length ? 0 : begins[begins.length - count]
        expect({ shift, count, ...(await lastRecords(file, text.length, count)) }).toEqual({
          shift,
          count,
          start,
          found,
        })
      }
    }
  }
})

test('none are asked for, and none are found', async () => {
  const path = join(scratch(), 'audit.jsonl')
  writeFileSync(path, 'a\nb\n')
  await using file = await open(path)
  expect(await lastRecords(file, 4, 0)).toEqual({ start: 4, found: 0 })
  expect(await lastRecords(file, 0, 3)).toEqual({ start: 0, found: 0 })
})

test('a file that is rotated away before it is seen is read, and none that was there before', async () => {
  const path = join(scratch(), 'audit.jsonl')
  const put = (name: string): void => writeFileSync(`${path}${name}`, `${name}\n`)
  put('.000001')
  await using file = followedFile(path, undefined, 0, await auditLogFiles(path))
  const fresh = async (): Promise<string[]> => {
    const texts: string[] = []
    for await (const { bytes } of file.fresh()) texts.push(`${bytes}`)
    return texts
  }
  expect(await fresh()).toEqual([])
  for (const name of ['.000002', '.000003', '.new']) put(name)
  renameSync(`${path}.new`, path)
  expect(await fresh()).toEqual(['.000002', '.000003', '.new'])
  renameSync(path, `${path}.000004`)
  put('')
  appendFileSync(path, 'last\n')
  expect(await fresh()).toEqual(['last'])
})
