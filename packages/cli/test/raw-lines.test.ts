import { expect, test } from 'vitest'
import { lineSplitter, type RawLine } from '../src/raw-lines.ts'

interface Shown {
  readonly start: number
  readonly text: string | undefined
  readonly complete: boolean
}

/** The lines of `bytes`, read in pieces of `size` bytes. */
function split(bytes: Buffer, size: number, start = 0): Shown[] {
  const splitter = lineSplitter(start)
  const lines: RawLine[] = []
  for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)))
  lines.push(...splitter.end())
  return lines.map(({ bytes: line, ...others }) => ({ ...others, text: line?.toString() }))
}

test.each([1, 2, 3, 5, 7, 100])('pieces of %d bytes make the same lines', (size) => {
  expect(split(Buffer.from('one\n\ntwö\n\n\nthree'), size, 1000)).toEqual([
    { start: 1000, text: 'one', complete: true },
    { start: 1005, text: 'twö', complete: true },
    { start: 1012, text: 'three', complete: false },
  ])
})

test('a line of more than 1 MiB is not kept, and the next one is', () => {
  const long = Buffer.alloc(10 * 1_048_576, 'x')
  const lines = split(Buffer.concat([Buffer.from('a\n'), long, Buffer.from('\nb\n')]), 65_536)
  expect(lines).toEqual([
    { start: 0, text: 'a', complete: true },
    { start: 2, text: undefined, complete: true },
    { start: 2 + long.length + 1, text: 'b', complete: true },
  ])
})

test('a line of 1 MiB is kept', () => {
  expect(split(Buffer.alloc(1_048_576, 'x'), 65_536)[0]?.text).toHaveLength(1_048_576)
  expect(split(Buffer.alloc(1_048_577, 'x'), 65_536)[0]?.text).toBeUndefined()
})

test('after the end, places are counted from the beginning of another file', () => {
  const splitter = lineSplitter(500)
  expect([...splitter.push(Buffer.from('tor')), ...splitter.end()]).toMatchObject([{ start: 500, complete: false }])
  expect([...splitter.push(Buffer.from('new\n'))]).toMatchObject([{ start: 0, complete: true }])
})
