import { expect, test } from 'vitest'
import { string, uint32, WireReader } from '../../src/openssh/wire.ts'

test('what was written is read', () => {
  const reader = new WireReader(
    Buffer.concat([uint32(7), string('ä'), Buffer.from('00000001ffffffff', 'hex'), string('')]),
  )
  expect(reader.uint32()).toBe(7)
  expect(reader.string().toString()).toBe('ä')
  expect(reader.uint64()).toBe(0x1ffffffffn)
  expect(reader.isAtEnd).toBe(false)
  expect(reader.string()).toHaveLength(0)
  expect(reader.isAtEnd).toBe(true)
})

test('nothing is read beyond the end', () => {
  for (const bytes of ['', '000000', '00000002ff', 'ffffffff00'])
    expect(() => new WireReader(Buffer.from(bytes, 'hex')).string()).toThrow(RangeError)
  expect(() => new WireReader(Buffer.alloc(7)).uint64()).toThrow(RangeError)
})
