import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wrapToken } from '../src/spnego.ts'

/** One DER element at the begin of `data`, read with a reader of its own, and the rest. */
function read(data: Buffer, tag: number): { content: Buffer; rest: Buffer } {
  expect(data[0]).toBe(tag)
  const first = data[1] as number
  const more = first < 0x80 ? 0 : first - 0x80
  const length = more === 0 ? first : Number.parseInt(data.subarray(2, 2 + more).toString('hex'), 16)
  // DER: as few bytes of length as there can be.
  expect(more).toBe(length < 0x80 ? 0 : Math.ceil(length.toString(16).length / 2))
  expect(data.length).toBeGreaterThanOrEqual(2 + more + length)
  return { content: data.subarray(2 + more, 2 + more + length), rest: data.subarray(2 + more + length) }
}

function unwrap(wrapped: Buffer): Buffer {
  const outer = read(wrapped, 0x60)
  expect(outer.rest).toHaveLength(0)
  const mechanism = read(outer.content, 0x06)
  expect(mechanism.content.toString('hex')).toBe('2b0601050502')
  const init = read(read(mechanism.rest, 0xa0).content, 0x30)
  const types = read(init.content, 0xa0)
  expect(types.content.toString('hex')).toBe('300b06092a864886f712010202')
  const token = read(types.rest, 0xa2)
  expect(token.rest).toHaveLength(0)
  return read(token.content, 0x04).content
}

test('a short token, byte by byte', () => {
  expect(wrapToken(Buffer.from('token')).toString('hex')).toBe(
    '602406062b0601050502a01a3018a00d300b06092a864886f712010202a2070405746f6b656e',
  )
})

test('a token of any size comes out as it went in', () => {
  const around = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 24].flatMap((size) =>
    Array.from({ length: 60 }, (_, less) => size - less).filter((one) => one >= 0),
  )
  for (const size of new Set(around.filter((one) => one < 2 ** 17)))
    expect(unwrap(wrapToken(Buffer.alloc(size, 7)))).toHaveLength(size)
  expect(unwrap(wrapToken(Buffer.alloc(2 ** 24, 7)))).toHaveLength(2 ** 24)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), (token) => {
      expect(unwrap(wrapToken(token)).equals(token)).toBe(true)
    }),
  )
})
