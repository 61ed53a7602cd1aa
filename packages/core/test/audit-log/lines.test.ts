import { execFileSync } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { linesOf } from '../../src/audit-log/lines.ts'
import { type Folder, folder } from './support.ts'

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place[Symbol.dispose]())

async function read(growing: boolean): Promise<string[]> {
  const texts: string[] = []
  for await (const { bytes } of linesOf(place.log, 0, growing)) {
    if (texts.length === 0) appendFileSync(place.log, 'three\n')
    texts.push(bytes.toString())
  }
  return texts
}

test('a file that grows while it is read is read to its end, or to the end that it had', async () => {
  writeFileSync(place.log, 'one\ntwo\n')
  expect(await read(true)).toEqual(['one', 'two', 'three'])
  writeFileSync(place.log, 'one\ntwo\n')
  expect(await read(false)).toEqual(['one', 'two'])
})

test('a pipe that nobody writes to and a device without end are not waited for', async () => {
  execFileSync('mkfifo', [place.log])
  for (const path of [place.log, '/dev/zero'])
    await expect(linesOf(path).next()).rejects.toMatchObject({ code: 'ESPIPE' })
})
