import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeSid, parseSid } from '../src/sid.ts'

test('a SID has one spelling', () => {
  for (const [text, sid] of [
    ['S-1-5-21-1-2-3-1104', 'S-1-5-21-1-2-3-1104'],
    ['s-1-5-32-544', 'S-1-5-32-544'],
    ['S-1-0x000000000005-32-544', 'S-1-5-32-544'],
    ['S-1-005-032-0544', 'S-1-5-32-544'],
    ['S-1-18-1', 'S-1-18-1'],
    ['S-1-5-21-4294967295-0-0-500', 'S-1-5-21-4294967295-0-0-500'],
    ['S-1-0xabcdef012345-1', 'S-1-0xABCDEF012345-1'],
    ['S-1-4294967296-1', 'S-1-0x000100000000-1'],
  ])
    expect([text, parseSid(text)]).toEqual([text, sid])
})

test('and whatever is none is none', () => {
  const long = Array.from({ length: 16 }, () => '1').join('-')
  for (const text of [
    ...['', 'S-1', 'S-1-5', 'S-1-5-', 'S-2-5-1', '1-5-21', 'S-1-5-21-', 'S-1-5--1', 'S-1-5-21-4294967296', 'S-1-5-1e3'],
    ...[' S-1-5-18', 'S-1-5-18 ', 'S-1-5-18\n', 'S-1-5-0x12', 'S-1-0x5-18', 'S-1-281474976710656-1', `S-1-5-${long}`],
    ...['S-1-5-21-*-512', 'CORP\\Domain Admins', 'ſ-1-5-18', undefined, null, 5, {}, ['S-1-5-18']],
  ])
    expect([text, parseSid(text)]).toEqual([text, undefined])
})

test('what is decoded is spelled as what is parsed', () => {
  const bytes = fc.tuple(
    fc.uint8Array({ minLength: 6, maxLength: 6 }),
    fc.array(fc.nat(0xffffffff), { minLength: 1, maxLength: 15 }),
  )
  fc.assert(
    fc.property(bytes, ([authority, subAuthorities]) => {
      const data = Buffer.concat([
        Buffer.of(1, subAuthorities.length),
        authority,
        ...subAuthorities.map((part) => Buffer.from(Uint32Array.of(part).buffer)),
      ])
      const sid = decodeSid(data)
      expect(sid?.split('-').slice(3).map(Number)).toEqual(subAuthorities)
      expect(Number(sid?.split('-')[2])).toBe(Buffer.from(authority).readUIntBE(0, 6))
      expect(parseSid(sid)).toBe(sid)
    }),
  )
})

test('bytes that are not exactly a SID are none', () => {
  const system = Buffer.from('010100000000000512000000', 'hex')
  expect(decodeSid(system)).toBe('S-1-5-18')
  for (const hex of ['', '01', '020100000000000512000000', '0100000000000005', `${system.toString('hex')}00`])
    expect([hex, decodeSid(Buffer.from(hex, 'hex'))]).toEqual([hex, undefined])
  expect(decodeSid(system.subarray(0, 11))).toBeUndefined()
  expect(decodeSid(Buffer.concat([Buffer.from('0110000000000005', 'hex'), Buffer.alloc(64)]))).toBeUndefined()
})
