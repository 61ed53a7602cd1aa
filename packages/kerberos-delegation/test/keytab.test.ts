import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { chooseClient, type Keytab, KeytabError, readKeytab, readKeytabFrom } from '../src/keytab.ts'

/** Which bytes of the file were read: [from, to). */
const reads = vi.hoisted((): [number, number][] => [])
/** How many bytes one read gives at most. */
const most = vi.hoisted(() => ({ bytes: Number.POSITIVE_INFINITY }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>()
  return {
    ...fs,
    readSync: (fd: number, into: Buffer, offset: number, length: number, position: number) => {
      reads.push([position, position + length])
      return fs.readSync(fd, into, offset, Math.min(length, most.bytes), position)
    },
  }
})

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'keytab-')))
const path = join(folder, 'service.keytab')
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  reads.length = 0
  most.bytes = Number.POSITIVE_INFINITY
})

interface Entry {
  readonly names: readonly string[]
  readonly realm: string
  readonly kvno: number
  readonly enctype: number
  readonly key: Uint8Array
  /** The 32-bit number behind the key; undefined: none. */
  readonly kvno32?: number | undefined
  /** Bytes behind that. */
  readonly more?: number
}

const service: Entry = { names: ['svc-mcp'], realm: 'CORP.EXAMPLE', kvno: 1, enctype: 18, key: Buffer.alloc(32, 0xee) }
const spn: Entry = { ...service, names: ['HTTP', 'mcp.corp.example'], enctype: 17, key: Buffer.alloc(16, 0xee) }

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

function counted(data: Uint8Array | string): Buffer {
  const bytes = Buffer.from(data as string)
  return Buffer.concat([u16(bytes.length), bytes])
}

function body({ names, realm, kvno, enctype, key, kvno32, more = 0 }: Entry): Buffer {
  const name = [u16(names.length), counted(realm), ...names.map(counted), u32(1), u32(1_700_000_000)]
  const tail = kvno32 === undefined ? [] : [u32(kvno32), Buffer.alloc(more)]
  return Buffer.concat([...name, Buffer.of(kvno % 256), u16(enctype), counted(key), ...tail])
}

function record(entry: Entry): Buffer {
  return Buffer.concat([u32(body(entry).length), body(entry)])
}

function hole(length: number): Buffer {
  return Buffer.concat([u32(-length), Buffer.alloc(length, 0xee)])
}

const HEAD = Buffer.of(5, 2)

function write(...parts: readonly Uint8Array[]): string {
  rmSync(path, { force: true })
  writeFileSync(path, Buffer.concat(parts), { mode: 0o600 })
  return path
}

function failure(run: () => unknown): KeytabError {
  try {
    run()
  } catch (error) {
    if (error instanceof KeytabError) return error
    throw error
  }
  return expect.fail('it was accepted')
}

test('the principals, versions and types of all keys, and which file it was', () => {
  write(HEAD, record(service), record(spn))
  utimesSync(path, 1_000, 2_000)
  const { entries, identity } = readKeytab(path)
  expect(entries).toEqual([
    { principal: 'svc-mcp@CORP.EXAMPLE', kvno: 1, enctype: 18 },
    { principal: 'HTTP/mcp.corp.example@CORP.EXAMPLE', kvno: 1, enctype: 17 },
  ])
  expect(identity).toMatchObject({ mtimeMs: 2_000_000, size: readFileSync(path).length })
  const fd = openSync(path, 'r')
  try {
    expect(readKeytabFrom(fd, path)).toEqual(readKeytab(path))
  } finally {
    closeSync(fd)
  }
})

test('no byte of a key is read, whatever the keytab holds', () => {
  const entry = fc.record({
    names: fc.array(fc.stringMatching(/^[a-z0-9.-]{0,20}$/), { minLength: 1, maxLength: 3 }),
    realm: fc.constantFrom('CORP.EXAMPLE', 'A'),
    kvno: fc.nat(255),
    enctype: fc.nat(30),
    key: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    kvno32: fc.option(fc.nat(0xffffffff), { nil: undefined }),
    more: fc.nat(8),
  })
  const part = fc.oneof({ weight: 4, arbitrary: entry }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 90 }) })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      fc.pre(parts.some((one) => typeof one !== 'number'))
      reads.length = 0
      let at = HEAD.length
      const keys: [number, number][] = []
      const pieces = parts.map((one) => {
        const piece = typeof one === 'number' ? hole(one) : record(one)
        const tail = typeof one === 'number' || one.kvno32 === undefined ? 0 : 4 + one.more
        const end = at + piece.length - tail
        // A deleted entry held a key as well.
        keys.push(typeof one === 'number' ? [at + 4, end] : [end - one.key.length, end])
        at += piece.length
        return piece
      })
      const { entries } = readKeytab(write(HEAD, ...pieces))
      const expected = parts
        .filter((one) => typeof one !== 'number')
        .map(({ names, realm, kvno, kvno32, enctype }) => ({
          principal: `${names.join('/')}@${realm}`,
          kvno: kvno32 || kvno,
          enctype,
        }))
      expect(entries).toEqual(expected)
      expect(reads.length).toBeGreaterThan(entries.length)
      for (const [from, to] of reads)
        for (const [begin, end] of keys)
          expect(from >= end || to <= begin, `${from}-${to} of ${begin}-${end}`).toBe(true)
    }),
  )
})

test('short reads are read on, and a file that shrinks meanwhile is truncated', () => {
  write(HEAD, record(service), record(spn))
  const { entries } = readKeytab(path)
  most.bytes = 1
  expect(readKeytab(path).entries).toEqual(entries)
  most.bytes = 0
  expect(failure(() => readKeytab(path))).toMatchObject({
    reason: 'format',
    message: expect.stringContaining('is truncated'),
  })
})

test('the file is closed, whatever it held', () => {
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  write(HEAD, record(service))
  for (let times = 0; times < 20; times++) readKeytab(path)
  write(HEAD)
  for (let times = 0; times < 20; times++) failure(() => readKeytab(path))
  expect(open()).toBeLessThan(before + 10)
  const fd = openSync(path, 'r')
  closeSync(fd)
  expect(failure(() => readKeytabFrom(fd, path))).toMatchObject({
    reason: 'unreadable',
    message: expect.stringContaining('EBADF'),
  })
})

test('a version beyond 255 comes from the 32-bit number, a zero there says nothing', () => {
  const kvnos = [
    { kvno: 300, kvno32: 300 },
    { kvno: 300, kvno32: undefined },
    { kvno: 7, kvno32: 0 },
    { kvno: 2, kvno32: 0xffffffff, more: 4 },
  ]
  const { entries } = readKeytab(write(HEAD, ...kvnos.map((one) => record({ ...service, ...one }))))
  expect(entries.map(({ kvno }) => kvno)).toEqual([300, 44, 7, 0xffffffff])
})

test('the room of deleted entries is passed over, and a zero ends the keytab as it does for MIT', () => {
  write(HEAD, hole(60), record(service), hole(1), record(spn), u32(0), Buffer.from('what was left'))
  expect(readKeytab(path).entries.map(({ enctype }) => enctype)).toEqual([18, 17])
})

test('names are spelled as MIT spells them', () => {
  write(HEAD, record({ ...service, names: ['a/b', 'c@d', 'e\\'], realm: 'R' }))
  expect(readKeytab(path).entries[0]?.principal).toBe('a\\/b/c\\@d/e\\\\@R')
})

test.for<[what: string, reason: KeytabError['reason'], words: string, parts: readonly Uint8Array[]]>([
  ['no byte', 'empty', 'is empty', []],
  ['the version alone', 'empty', 'holds no key', [HEAD]],
  ['deleted entries alone', 'empty', 'holds no key', [HEAD, hole(30), hole(70)]],
  ['a zero at once', 'empty', 'holds no key', [HEAD, u32(0), record(service)]],
  ['one byte', 'format', 'is not a keytab', [Buffer.of(5)]],
  ['the old format', 'format', 'old format 0x0501', [Buffer.of(5, 1), record(service)]],
  ['a credential cache', 'format', 'is a credential cache', [Buffer.of(5, 4), Buffer.alloc(50)]],
  ['an old credential cache', 'format', 'is a credential cache', [Buffer.of(5, 3), Buffer.alloc(50)]],
  ['a version to come', 'format', 'is not a keytab', [Buffer.of(5, 5), Buffer.alloc(50)]],
  ['something that has a 4 there', 'format', 'is not a keytab', [Buffer.of(6, 4), Buffer.alloc(50)]],
  ['text', 'format', 'is not a keytab', [Buffer.from('-----BEGIN PRIVATE KEY-----')]],
  ['noise', 'format', 'is truncated', [HEAD, Buffer.alloc(80, 0x41)]],
  ['a hole beyond the end', 'format', 'is truncated', [HEAD, record(service), u32(-9)]],
  ['the longest hole', 'format', 'is truncated', [HEAD, u32(0x80000000)]],
  ['a length of an entry that is cut off', 'format', 'is truncated', [HEAD, record(service), Buffer.alloc(3)]],
  ['an entry too short for its name', 'format', 'too short for what it holds', [HEAD, u32(9), body(service)]],
  [
    'an entry too short for its key, with another behind it',
    'format',
    'too short for what it holds',
    [HEAD, u32(body(service).length - 1), body(service), record(spn)],
  ],
  ['an entry without a name', 'format', 'has no name', [HEAD, record({ ...service, names: [] })]],
  ['a name with a line end', 'format', 'is not text', [HEAD, record({ ...service, names: ['a\nb'] })]],
  ['more than a keytab can have', 'format', 'at most 1048576', [HEAD, record(service), Buffer.alloc(2 ** 20)]],
])('%s: %s', ([, reason, words, parts]) => {
  const error = failure(() => readKeytab(write(...parts)))
  expect([error.reason, error.message]).toEqual([reason, expect.stringContaining(words)])
  expect(error.message).toContain(path)
})

test('a name that is not UTF-8 is refused', () => {
  const bytes = Buffer.concat([HEAD, record({ ...service, names: ['svc-mcp'] })])
  bytes[bytes.indexOf('svc-mcp')] = 0xff
  expect(failure(() => readKeytab(write(bytes)))).toMatchObject({ reason: 'format' })
})

test('cut off at any byte it is refused, unless an entry ends there', () => {
  const whole = Buffer.concat([HEAD, record(service), hole(10), record({ ...spn, kvno32: 1 })])
  const ends = [HEAD.length + record(service).length, HEAD.length + record(service).length + hole(10).length]
  for (let length = 0; length < whole.length; length++) {
    write(whole.subarray(0, length))
    if (ends.includes(length)) expect(readKeytab(path).entries).toHaveLength(1)
    else
      expect([length, failure(() => readKeytab(path)).reason]).toEqual([length, expect.stringMatching(/format|empty/)])
  }
})

test('whatever the bytes, it is a keytab or a KeytabError', () => {
  const whole = Buffer.concat([HEAD, record(service), record(spn)])
  const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) })
  fc.assert(
    fc.property(fc.oneof(fc.array(change, { minLength: 1, maxLength: 4 }), fc.uint8Array()), (input) => {
      const bytes = input instanceof Uint8Array ? Buffer.concat([HEAD, input]) : Buffer.from(whole)
      if (!(input instanceof Uint8Array)) for (const { at, to } of input) bytes[at] = to
      try {
        readKeytab(write(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(KeytabError)
      }
    }),
    { numRuns: 500 },
  )
})

test('what is not there, and what is no file', () => {
  expect(failure(() => readKeytab(join(folder, 'none')))).toMatchObject({ reason: 'missing' })
  expect(failure(() => readKeytab(join(write(HEAD), 'none')))).toMatchObject({ reason: 'missing' })
  expect(failure(() => readKeytab(folder))).toMatchObject({ reason: 'format' })
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', ['-m', '600', pipe])
  expect(failure(() => readKeytab(pipe))).toMatchObject({ reason: 'format' })
  const loop = join(folder, 'loop')
  symlinkSync(loop, loop)
  expect(failure(() => readKeytab(loop))).toMatchObject({
    reason: 'unreadable',
    message: expect.stringContaining('ELOOP'),
    cause: expect.objectContaining({ code: 'ELOOP' }),
  })
})

test.for<[mode: number, words: string | undefined]>([
  [0o400, undefined],
  [0o600, undefined],
  [0o440, undefined],
  [0o640, undefined],
  [0o700, undefined],
  [0o644, 'is open to everybody (mode 0644): chmod 0400'],
  [0o604, 'is open to everybody (mode 0604): chmod 0400'],
  [0o602, 'is open to everybody'],
  [0o601, 'is open to everybody'],
  [0o660, 'may be changed by its group (mode 0660): chmod 0400'],
  [0o620, 'may be changed by its group'],
])('mode %o: %s', ([mode, words]) => {
  write(HEAD, record(service))
  chmodSync(path, mode)
  if (words === undefined) expect(readKeytab(path).entries).toHaveLength(1)
  else
    expect(failure(() => readKeytab(path))).toMatchObject({
      reason: 'permissions',
      message: expect.stringMatching(new RegExp(`${words.replace(/[()]/g, '\\$&')}.*${path}`)),
    })
})

/** Somebody else, and a group that nobody is in. */
const OTHER = 54_321

test('(privileged) as another user: an own keytab, one of root and our group, and those that are not for us', ({
  skip,
}) => {
  if (process.geteuid?.() !== 0) {
    console.warn('SKIPPED: needs root, to act as another user')
    skip()
  }
  /** Reads `path` as {@link OTHER}, in the group of that number. */
  function asOther<T>(run: () => T): T {
    const groups = process.getgroups?.() ?? []
    process.setgroups?.([OTHER])
    process.setegid?.(OTHER)
    process.seteuid?.(OTHER)
    try {
      return run()
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
      process.setgroups?.(groups)
    }
  }
  chmodSync(folder, 0o755)
  write(HEAD, record(service))
  const secret = (uid: number, gid: number, mode: number) => {
    chownSync(path, uid, gid)
    chmodSync(path, mode)
  }

  secret(OTHER, 0, 0o400)
  expect(asOther(() => readKeytab(path)).entries).toHaveLength(1)
  expect(failure(() => readKeytab(path))).toMatchObject({
    reason: 'owner',
    message: expect.stringContaining(`belongs to uid ${OTHER}, who can change it: chown 0 ${path}`),
  })

  // As Kubernetes mounts a secret for a pod with an fsGroup.
  secret(0, OTHER, 0o440)
  const mount = join(folder, 'mount')
  mkdirSync(mount)
  symlinkSync('..', join(mount, '..data'))
  symlinkSync('..data/service.keytab', join(mount, 'keytab'))
  expect(asOther(() => readKeytab(join(mount, 'keytab'))).entries).toHaveLength(1)
  expect(failure(() => readKeytab(path))).toMatchObject({
    reason: 'permissions',
    message: expect.stringContaining(`group ${OTHER}, which is none of ours (mode 0440)`),
  })

  secret(0, 0, 0o400)
  expect(failure(() => asOther(() => readKeytab(path)))).toMatchObject({
    reason: 'unreadable',
    message: expect.stringContaining(
      `(EACCES): let uid ${OTHER} read it: chown ${OTHER} ${path} && chmod 0400 ${path}`,
    ),
  })
  secret(1, OTHER, 0o440)
  expect(failure(() => asOther(() => readKeytab(path)))).toMatchObject({ reason: 'owner' })
})

test('paths in remedies are words of a shell, on one line', () => {
  const odd = join(folder, "it's\n`here`")
  writeFileSync(odd, 'x', { mode: 0o644 })
  const { message } = failure(() => readKeytab(odd))
  expect(message).not.toContain('\n')
  expect(message).toContain(`'\\''s`)
})

/** A keytab of these keys. */
function keytab(...keys: readonly [principal: string, enctype: number, kvno?: number][]): Keytab {
  const entries = keys.map(([principal, enctype, kvno = 1]) => ({ principal, enctype, kvno }))
  return { path: '/etc/mcp.keytab', entries, identity: { mtimeMs: 0, ino: 0, dev: 0, size: 0 } }
}
const ACCOUNT = 'svc-mcp@CORP.EXAMPLE'
const SPN = 'HTTP/mcp.corp.example@CORP.EXAMPLE'

test('the first candidate with an AES key is the client', () => {
  for (const enctype of [17, 18, 19, 20]) expect(chooseClient(keytab([ACCOUNT, enctype]), [ACCOUNT, SPN])).toBe(ACCOUNT)
  expect(chooseClient(keytab([SPN, 18], [ACCOUNT, 23], [ACCOUNT, 17]), [ACCOUNT, SPN])).toBe(ACCOUNT)
  expect(chooseClient(keytab([SPN, 18], ['other@CORP.EXAMPLE', 18]), [ACCOUNT, SPN])).toBe(SPN)
  expect(chooseClient(keytab([SPN, 18], [ACCOUNT, 23]), [ACCOUNT, SPN])).toBe(SPN)
  expect(chooseClient(keytab([ACCOUNT, 23, 1], [ACCOUNT, 18, 2]), [ACCOUNT])).toBe(ACCOUNT)
})

test('weak keys alone are refused, with what to do', () => {
  for (const enctype of [1, 2, 3, 16, 23, 24, 25, 26, 0, 99])
    expect(failure(() => chooseClient(keytab([ACCOUNT, enctype]), [ACCOUNT])).reason).toBe('weak')
  expect(failure(() => chooseClient(keytab([ACCOUNT, 18, 1], [ACCOUNT, 23, 2]), [ACCOUNT, SPN]))).toMatchObject({
    reason: 'weak',
    message: expect.stringMatching(
      /\/etc\/mcp.keytab holds of svc-mcp@CORP.EXAMPLE only arcfour-hmac \(key version 2\).*msDS-SupportedEncryptionTypes.*ktpass.*\/crypto AES256-SHA1.*samba-tool domain exportkeytab/,
    ),
  })
})

test('what it holds instead is named, and a difference in case alone', () => {
  const others = Array.from({ length: 12 }, (_, index): [string, number] => [`user${index}@CORP.EXAMPLE`, 18])
  expect(failure(() => chooseClient(keytab(...others), [ACCOUNT, SPN]))).toMatchObject({
    reason: 'principal',
    message: expect.stringMatching(
      /no key of svc-mcp@CORP.EXAMPLE or HTTP\/mcp.corp.example@CORP.EXAMPLE; it holds keys of user0@.*user9@CORP.EXAMPLE and 2 more/,
    ),
  })
  expect(failure(() => chooseClient(keytab(['SVC-MCP@corp.example', 18]), [ACCOUNT, SPN]))).toMatchObject({
    reason: 'principal',
    message: expect.stringMatching(/one of SVC-MCP@corp.example: only the case differs/),
  })
})

test('it reads what MIT writes as MIT does', ({ skip }) => {
  const script = ['svc-mcp@CORP.EXAMPLE -k 300 -e aes256-cts', 'HTTP/mcp.corp.example@CORP.EXAMPLE -k 3 -e rc4-hmac']
    .map((entry) => `addent -password -p ${entry}\npassword\n`)
    .join('')
  rmSync(path, { force: true })
  try {
    execFileSync('ktutil', { input: `${script}wkt ${path}\nquit\n`, stdio: ['pipe', 'ignore', 'inherit'] })
  } catch (error) {
    if (process.env['REQUIRE_REAL'] === '1') throw error
    console.warn('SKIPPED: needs ktutil of MIT Kerberos')
    skip()
  }
  const listed = execFileSync('klist', ['-ke', path], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /^ +(\d+) (\S+) \((?:DEPRECATED:)?(\S+)\)/.exec(line)?.slice(1).join(' ') ?? [])
  expect(listed).toHaveLength(2)
  const names: Record<number, string> = { 18: 'aes256-cts-hmac-sha1-96', 23: 'arcfour-hmac' }
  expect(readKeytab(path).entries.map((one) => `${one.kvno} ${one.principal} ${names[one.enctype]}`)).toEqual(listed)
})
