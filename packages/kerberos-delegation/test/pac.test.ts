import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PacError } from '../src/ndr.ts'
import { decodeLogonInfo, decodeUpnInfo } from '../src/pac.ts'

/** Buffers of tickets that a Samba domain issued. */
function vector(name: string): Buffer {
  return readFileSync(new URL(`pac/${name}.bin`, import.meta.url))
}

const ACCOUNTS = ['administrator', 'alice', 'carol-sensitive', 'dave-protected', 'dc1-machine'] as const
const DOMAIN = `S-1-5-21-${0x4f710d11}-${0xe1ed64dc}-${0xc99544e2}`

/** What `run` threw, which must be a PacError. */
function failure(run: () => unknown): PacError {
  try {
    run()
  } catch (error) {
    if (error instanceof PacError) return error
    throw error
  }
  return expect.fail('it was decoded')
}

describe('logon information', () => {
  test('of ordinary, sensitive, protected, privileged and machine accounts of a real domain', () => {
    const groups = (...rids: number[]) => rids.map((rid) => `${DOMAIN}-${rid}`)
    expect(decodeLogonInfo(vector('alice'))).toEqual({
      account: 'alice',
      fullName: undefined,
      domain: 'CORP',
      userId: 1102,
      primaryGroupId: 513,
      sid: `${DOMAIN}-1102`,
      groups: [...groups(513), 'S-1-18-2'],
      userAccountControl: 0x210,
      userFlags: 0x20,
    })
    expect(decodeLogonInfo(vector('administrator'))).toMatchObject({
      account: 'Administrator',
      userId: 500,
      sid: `${DOMAIN}-500`,
      groups: [...groups(513, 512, 572, 518, 519, 520), 'S-1-18-2'],
    })
    expect(decodeLogonInfo(vector('carol-sensitive'))).toMatchObject({ account: 'carol', userAccountControl: 0x4210 })
    expect(decodeLogonInfo(vector('dave-protected')).groups).toEqual([...groups(513, 525), 'S-1-18-2'])
    expect(decodeLogonInfo(vector('dc1-machine'))).toMatchObject({
      account: 'DC1$',
      primaryGroupId: 516,
      userAccountControl: 0x2100,
      groups: [...groups(516, 572), 'S-1-5-9', 'S-1-18-2'],
    })
  })

  test('with full name, resource groups, extra SIDs of other domains and none twice', () => {
    const info = decodeLogonInfo(
      logonInfo({
        account: 'jörg',
        fullName: 'Jörg Müller',
        groups: [513, 1200],
        extra: [[21, 7, 8, 9, 512], [18]],
        resource: { domain: [21, 4, 5, 6], groups: [1300] },
      }),
    )
    expect(info).toMatchObject({ account: 'jörg', fullName: 'Jörg Müller', sid: 'S-1-5-21-1-2-3-1104' })
    expect(info.groups).toEqual([
      'S-1-5-21-1-2-3-513',
      'S-1-5-21-1-2-3-1200',
      'S-1-5-21-7-8-9-512',
      'S-1-5-18',
      'S-1-5-21-4-5-6-1300',
    ])
  })

  test('the primary group counts where the list leaves it out', () => {
    expect(decodeLogonInfo(logonInfo({ groups: [], primary: 512 })).groups).toEqual(['S-1-5-21-1-2-3-512'])
  })

  test('whatever the accounts and groups, they come back', () => {
    const rids = fc.array(fc.nat(0xffffffff), { maxLength: 20 })
    const sids = fc.array(fc.array(fc.nat(0xffffffff), { minLength: 1, maxLength: 15 }), { maxLength: 5 })
    const account = fc.stringMatching(/^[a-z0-9äß€. -]{1,40}$/u)
    fc.assert(
      fc.property(account, account, rids, sids, rids, fc.nat(9), (name, fullName, groups, extra, local, padding) => {
        const resource = local.length > 0 ? { domain: [21, 4, 5, 6], groups: local } : undefined
        const info = decodeLogonInfo(logonInfo({ account: name, fullName, groups, extra, resource, padding }))
        expect([info.account, info.fullName]).toEqual([name, fullName])
        expect(info.groups).toEqual([
          ...new Set([
            ...[513, ...groups].map((rid) => `S-1-5-21-1-2-3-${rid}`),
            ...extra.map((parts) => `S-1-5-${parts.join('-')}`),
            ...local.map((rid) => `S-1-5-21-4-5-6-${rid}`),
          ]),
        ])
      }),
    )
  })

  test.for([...ACCOUNTS])('cut off anywhere, that of %s is a PacError', (name) => {
    const whole = vector(name)
    for (let length = 0; length < whole.length; length++)
      expect(failure(() => decodeLogonInfo(whole.subarray(0, length)))).toBeInstanceOf(PacError)
    // The same, where the header tells of the cut. What follows the last SID is padding.
    const padding = name === 'dc1-machine' ? 0 : 4
    for (let length = 16; length < whole.length - padding; length++) {
      const cut = Buffer.from(whole.subarray(0, length))
      cut.writeUInt32LE(length - 16, 8)
      expect(failure(() => decodeLogonInfo(cut))).toBeInstanceOf(PacError)
    }
    decodeLogonInfo(whole.subarray(0, whole.length))
  })

  test('damaged anywhere, it is decoded or a PacError, and never reads what lies around it', () => {
    const change = fc.record({ at: fc.nat(), to: fc.constantFrom(0, 1, 2, 4, 0x7f, 0x80, 0xfe, 0xff) })
    const changes = fc.array(fc.oneof(change, fc.record({ at: fc.nat(), to: fc.nat(255) })), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(fc.constantFrom(...ACCOUNTS), changes, (name, list) => {
        const bytes = vector(name)
        for (const { at, to } of list) bytes[at % bytes.length] = to
        const outcome = (data: Uint8Array) => {
          try {
            return decodeLogonInfo(data)
          } catch (error) {
            expect(error).toBeInstanceOf(PacError)
            return String(error)
          }
        }
        const around = Buffer.concat([Buffer.alloc(64, 0x41), bytes, Buffer.alloc(512, 0x41)])
        expect(outcome(around.subarray(64, 64 + bytes.length))).toEqual(outcome(new Uint8Array(bytes)))
      }),
      { numRuns: 3_000 },
    )
  })

  test('every single byte may be any of these, and nothing but a PacError is thrown', () => {
    for (const name of ACCOUNTS) {
      const whole = vector(name)
      for (let at = 0; at < whole.length; at++)
        for (const to of [0, 1, 0x7f, 0x80, 0xff]) {
          const bytes = Buffer.from(whole)
          bytes[at] = to
          try {
            decodeLogonInfo(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(PacError)
          }
        }
    }
  })

  test('a count that no buffer can hold ends at once', () => {
    const started = performance.now()
    const bytes = vector('alice')
    // The number of groups, in the fixed part and in front of the list.
    for (const at of [20 + 108, bytes.indexOf(Buffer.from('0100000001020000', 'hex'), 0x100)])
      bytes.writeUInt32LE(0xffffffff, at)
    expect(failure(() => decodeLogonInfo(bytes)).message).toContain('longer than what is left')
    expect(performance.now() - started).toBeLessThan(200)
  })

  const FIXED = 20
  test.for<[what: string, change: (bytes: Buffer) => void, words: string]>([
    ['another version', (bytes) => bytes.writeUInt8(2, 0), 'little-endian'],
    ['big-endian numbers', (bytes) => bytes.writeUInt8(0, 1), 'little-endian'],
    ['a header of another length', (bytes) => bytes.writeUInt16LE(16, 2), 'little-endian'],
    ['nothing inside', (bytes) => bytes.writeUInt32LE(0, 16), 'no logon information'],
    ['a longer object than there is', (bytes) => bytes.writeUInt32LE(bytes.length, 8), 'shorter than its header'],
    ['an odd length', (bytes) => bytes.writeUInt16LE(9, FIXED + 48), 'wrong length'],
    ['a length beyond the maximum', (bytes) => bytes.writeUInt16LE(8, FIXED + 50), 'wrong length'],
    ['another length than the text has', (bytes) => bytes.writeUInt16LE(8, FIXED + 48), 'contradicts'],
    ['another maximum than the text has', (bytes) => bytes.writeUInt16LE(12, FIXED + 50), 'contradicts'],
    ['a text that begins later', (bytes) => bytes.writeUInt32LE(1, FIXED + 216 + 4), 'contradicts'],
    ['no account', (bytes) => bytes.writeUInt32LE(0, FIXED + 52), 'a text is missing'],
    ['groups that are not there', (bytes) => bytes.writeUInt32LE(0, FIXED + 112), 'a list is missing'],
    ['another number of groups', (bytes) => bytes.writeUInt32LE(2, FIXED + 108), 'contradicts'],
    ['no domain', (bytes) => bytes.writeUInt32LE(0, FIXED + 152), ''],
    ['no user', (bytes) => bytes.writeUInt32LE(0, FIXED + 100), 'no SID of its domain'],
    ['a lone surrogate', (bytes) => bytes.writeUInt16LE(0xd800, FIXED + 228), 'not Unicode'],
    ['a zero in the name', (bytes) => bytes.writeUInt16LE(0, FIXED + 230), 'name of the account'],
  ])('%s is refused', ([, change, words]) => {
    const bytes = vector('alice')
    change(bytes)
    expect(failure(() => decodeLogonInfo(bytes)).message).toContain(words)
  })

  test('a domain that is none, extra SIDs that are missing or too long, and groups of no domain are refused', () => {
    expect(failure(() => decodeLogonInfo(logonInfo({ domain: [32] }))).message).toContain('no SID of its domain')
    expect(failure(() => decodeLogonInfo(logonInfo({ domain: [21, 1, 2, 3, 4] }))).message).toContain('no SID')
    expect(failure(() => decodeLogonInfo(logonInfo({ extra: [Array(16).fill(1)] }))).message).toContain('too long')
    expect(failure(() => decodeLogonInfo(logonInfo({ extra: [[]] }))).message).toContain('a SID is none')
    expect(failure(() => decodeLogonInfo(logonInfo({ resource: { groups: [1300] } }))).message).toContain(
      'of no domain',
    )
    const missing = logonInfo({ extra: [[18]] })
    missing.writeUInt32LE(0, missing.indexOf(Buffer.from('01000000cc000200', 'hex')) + 4)
    expect(failure(() => decodeLogonInfo(missing)).message).toContain('extra SID is missing')
  })
})

describe('names in the directory', () => {
  test('of accounts of a real domain, with and without a name of its own', () => {
    const sid = (rid: number) => `S-1-5-21-${0x5d162467}-${0x4ee0cbd8}-${0x5f9c2aa5}-${rid}`
    expect(decodeUpnInfo(vector('alice.upn'))).toEqual({
      upn: 'alice@corp.example',
      explicit: true,
      dnsDomain: 'CORP.EXAMPLE',
      account: 'alice',
      sid: sid(1102),
    })
    expect(decodeUpnInfo(vector('ivan.upn'))).toEqual({
      upn: 'ivan@corp.example',
      explicit: false,
      dnsDomain: 'CORP.EXAMPLE',
      account: 'ivan',
      sid: sid(1106),
    })
  })

  test('of domains that say neither account nor SID', () => {
    const bytes = vector('alice.upn')
    bytes.writeUInt32LE(0, 8)
    expect(decodeUpnInfo(bytes)).toEqual({
      upn: 'alice@corp.example',
      explicit: true,
      dnsDomain: 'CORP.EXAMPLE',
      account: undefined,
      sid: undefined,
    })
  })

  test('cut off within what they refer to, they are a PacError', () => {
    const whole = vector('alice.upn')
    for (let length = 0; length < 0x62 + 28; length++)
      expect(failure(() => decodeUpnInfo(whole.subarray(0, length)))).toBeInstanceOf(PacError)
    expect(decodeUpnInfo(whole.subarray(0, 0x62 + 28)).account).toBe('alice')
  })

  test.for<[what: string, at: number, value: number]>([
    ['a name in the header', 2, 8],
    ['a name beyond the end', 2, 0xfffe],
    ['no name', 0, 0],
    ['an odd name', 0, 35],
    ['no domain', 4, 0],
    ['no account', 12, 0],
    ['no SID', 16, 0],
    ['a shorter SID', 16, 24],
    ['a SID elsewhere', 18, 0x58],
  ])('%s is refused', ([, at, value]) => {
    const bytes = vector('alice.upn')
    bytes.writeUInt16LE(value, at)
    expect(failure(() => decodeUpnInfo(bytes))).toBeInstanceOf(PacError)
  })

  test('damaged anywhere, they are decoded or a PacError', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = vector('alice.upn')
        for (const [at, to] of changes) bytes[at % bytes.length] = to
        try {
          decodeUpnInfo(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(PacError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

interface Sample {
  readonly account?: string
  readonly fullName?: string
  readonly groups?: readonly number[]
  readonly primary?: number
  /** Sub-authorities behind `S-1-5`. */
  readonly domain?: readonly number[]
  readonly extra?: readonly (readonly number[])[]
  readonly resource?: { readonly domain?: readonly number[]; readonly groups: readonly number[] } | undefined
  readonly padding?: number
}

/** A KERB_VALIDATION_INFO as NDR writes it. */
function logonInfo(sample: Sample): Buffer {
  const { account = 'alice', fullName = '', groups = [513], primary = 513, domain = [21, 1, 2, 3], extra = [] } = sample
  const { resource, padding = 0 } = sample
  const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer)
  const u16 = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer)
  const header = (text: string) => Buffer.concat([u16(text.length * 2, text.length * 2 + 2), u32(0xcc0002)])
  const deferred: Buffer[] = []
  const later = (...parts: Buffer[]) => {
    const bytes = Buffer.concat(parts)
    deferred.push(bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4))
  }
  const text = (value: string) => later(u32(value.length + 1, 0, value.length), Buffer.from(value, 'utf16le'))
  const rids = (list: readonly number[]) => later(u32(list.length, ...list.flatMap((rid) => [rid, 7])))
  const sid = (parts: readonly number[]) =>
    later(u32(parts.length), Buffer.of(1, parts.length, 0, 0, 0, 0, 0, 5), u32(...parts))
  const texts = [account, fullName, '', '', '', '']
  for (const value of texts) text(value)
  rids(groups)
  text('DC1')
  text('CORP')
  sid(domain)
  if (extra.length > 0) later(u32(extra.length, ...extra.flatMap(() => [0x200cc, 7])))
  for (const parts of extra) sid(parts)
  if (resource?.domain !== undefined) sid(resource.domain)
  if (resource !== undefined) rids(resource.groups)
  const body = Buffer.concat([
    u32(0xcc0002),
    Buffer.alloc(48),
    ...texts.map(header),
    u16(0, 0),
    u32(1104, primary, groups.length, 0xcc0002, 0x20),
    Buffer.alloc(16),
    header('DC1'),
    header('CORP'),
    u32(0xcc0002, 0, 0, 0x210),
    Buffer.alloc(28),
    u32(extra.length, extra.length > 0 ? 0xcc0002 : 0),
    u32(resource?.domain === undefined ? 0 : 0xcc0002),
    u32(resource?.groups.length ?? 0, resource === undefined ? 0 : 0xcc0002),
    ...deferred,
    Buffer.alloc(padding),
  ])
  return Buffer.concat([Buffer.from('01100800cccccccc', 'hex'), u32(body.length, 0), body])
}
