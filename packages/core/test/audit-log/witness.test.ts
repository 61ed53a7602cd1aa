import { execFileSync } from 'node:child_process'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { fileCheckpoints } from '@mcp-delegation/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Folder, folder, linesIn } from './support.ts'

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place[Symbol.dispose]())

test('checkpoints are appended, one a line', async () => {
  const witness = fileCheckpoints(place.witness)
  await witness('one')
  await witness('two')
  expect(linesIn(place.witness)).toEqual(['one', 'two'])
})

test.skipIf(process.platform === 'win32')(
  'a file that does not answer holds one call, and the others fail at once',
  async () => {
    execFileSync('mkfifo', [place.witness])
    const witness = fileCheckpoints(place.witness)
    // Opening a pipe that nobody reads waits, as a file system of a machine that is away does.
    const first = Promise.resolve(witness('one')).catch((error: NodeJS.ErrnoException) => error.code)
    for (let call = 0; call < 8; call++) await expect(witness('one')).rejects.toThrow('does not answer')
    const reader = await open(place.witness, constants.O_RDONLY | constants.O_NONBLOCK)
    // A pipe can't be synchronised.
    expect(await first).toBe('EINVAL')
    await reader.close()
    await expect(fileCheckpoints(place.path)('one')).rejects.toThrow('EISDIR')
  },
)
