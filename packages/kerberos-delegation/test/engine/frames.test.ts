import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeFrame, frameDecoder, type Message, maxFrameLength } from '../../src/engine/frames.ts'

interface Note extends Message {
  readonly text: string
}

function collector(): { readonly seen: [Note, string][]; readonly feed: (chunk: Buffer) => void } {
  const seen: [Note, string][] = []
  return { seen, feed: frameDecoder<Note>((message, binary) => seen.push([message, binary.toString('hex')])) }
}

const header = (length: number, jsonLength: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(length, 0)
  bytes.writeUInt32BE(jsonLength, 4)
  return bytes
}

test('a frame has the layout that both sides agreed on', () => {
  const frame = encodeFrame({ id: 7 }, Buffer.from([0xde, 0xad]))
  expect(frame.toString('hex')).toBe(`0000000e00000008${Buffer.from('{"id":7}').toString('hex')}dead`)
})

test('frames come back whole and in order, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.string({ unit: 'binary' }), fc.uint8Array({ maxLength: 300 })), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (notes, cuts) => {
        const stream = Buffer.concat(notes.map(([id, text, binary]) => encodeFrame({ id, text } as Note, binary)))
        const { seen, feed } = collector()
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1
          feed(stream.subarray(at, at + size))
          at += size
        }
        expect(seen).toEqual(notes.map(([id, text, binary]) => [{ id, text }, Buffer.from(binary).toString('hex')]))
      },
    ),
  )
})

test('a frame of the greatest length passes, a longer one is not made', () => {
  const overhead = 4 + Buffer.byteLength('{"id":1}')
  const frame = encodeFrame({ id: 1 }, Buffer.alloc(maxFrameLength - overhead))
  const lengths: number[] = []
  const feed = frameDecoder((_message, binary) => lengths.push(binary.length))
  for (let at = 0; at < frame.length; at += 65_536) feed(frame.subarray(at, at + 65_536))
  expect(lengths).toEqual([maxFrameLength - overhead])
  expect(() => encodeFrame({ id: 1 }, Buffer.alloc(maxFrameLength - overhead + 1))).toThrow(RangeError)
})

test.each([
  ['longer than allowed', header(maxFrameLength + 1, 2)],
  ['too short for its own header', header(3, 0)],
  ['JSON longer than the frame', header(8, 5)],
  ['no JSON', Buffer.concat([header(8, 4), Buffer.from('nope')])],
  ['no UTF-8', Buffer.concat([header(20, 16), Buffer.from('{"id":1,"a":"\xff"}', 'latin1')])],
  ['JSON without an object', Buffer.concat([header(8, 4), Buffer.from('null')])],
  ['an object without an id', Buffer.concat([header(6, 2), Buffer.from('{}')])],
  ['an id that is no number', Buffer.concat([header(14, 10), Buffer.from('{"id":"1"}')])],
])('a stream is garbled where a frame has %s, and stays so', (_what, bytes) => {
  const { seen, feed } = collector()
  expect(() => feed(bytes)).toThrow(/garbled/)
  expect(() => feed(encodeFrame({ id: 1 }))).toThrow(/garbled/)
  expect(seen).toEqual([])
})
