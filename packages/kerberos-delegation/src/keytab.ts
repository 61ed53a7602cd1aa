import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { enctypeName, isPermittedEnctype } from './enctypes.ts'

/** One key of a keytab, without the key. */
export interface KeytabEntry {
  /** As MIT writes it: `HTTP/mcp.corp.example@CORP.EXAMPLE`. */
  readonly principal: string
  readonly kvno: number
  readonly enctype: number
}

/** Which file was read, in which state. */
export interface FileIdentity {
  readonly mtimeMs: number
  readonly ino: number
  readonly dev: number
  readonly size: number
}

/** The directory of a keytab: whose keys it holds. */
export interface Keytab {
  readonly path: string
  readonly entries: readonly KeytabEntry[]
  readonly identity: FileIdentity
}

/** Why a keytab is of no use; the message names the path, the problem and the remedy. */
export class KeytabError extends Error {
  /**
   * `missing`: there is no such file. `unreadable`: it can't be opened or read. `permissions`, `owner`: others than root
   * and we may read or change it. `format`: it is no keytab, or a damaged one. `empty`: it holds no key. `principal`: none
   * of the account that is wanted. `weak`: only such that are not used.
   */
  readonly reason: 'missing' | 'unreadable' | 'permissions' | 'owner' | 'format' | 'empty' | 'principal' | 'weak'

  constructor(reason: KeytabError['reason'], path: string, text: string, options?: ErrorOptions) {
    super(`the keytab ${shown(path)} ${text}`, options)
    this.name = 'KeytabError'
    this.reason = reason
  }
}

const MAX_SIZE = 2 ** 20
const MAX_SHOWN = 10
/** What a damaged keytab is replaced with. */
const EXPORT_AGAIN = 'export it again with ktpass, samba-tool domain exportkeytab or ktutil'

/**
 * Reads the directory of a keytab. No byte of a key is read.
 * @throws KeytabError
 */
export function readKeytab(path: string): Keytab {
  let fd: number
  try {
    // A pipe would keep us waiting without O_NONBLOCK.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new KeytabError('missing', path, 'does not exist: check "keytabPath", or put it there', { cause })
    const remedy = `let uid ${process.geteuid?.()} read it: chown ${process.geteuid?.()} ${word(path)} && chmod 0400 ${word(path)}`
    throw new KeytabError('unreadable', path, `can't be opened (${code}): ${remedy}`, { cause })
  }
  try {
    return readKeytabFrom(fd, path)
  } finally {
    closeSync(fd)
  }
}

/**
 * The same from an open file, so that what was checked is what is used; `path` is for messages.
 * @throws KeytabError
 */
export function readKeytabFrom(fd: number, path: string): Keytab {
  try {
    const stats = fstatSync(fd)
    checkFile(stats, path)
    const { mtimeMs, ino, dev, size } = stats
    const entries = readEntries(fd, size, path)
    if (entries.length === 0) throw new KeytabError('empty', path, `holds no key: ${EXPORT_AGAIN}`)
    return { path, entries, identity: { mtimeMs, ino, dev, size } }
  } catch (cause) {
    if (cause instanceof KeytabError) throw cause
    throw new KeytabError('unreadable', path, `can't be read (${(cause as NodeJS.ErrnoException).code})`, { cause })
  }
}

/** Kubernetes gives secrets to root and a group of ours, 0440, so a group of ours may read it. */
function checkFile(stats: Stats, path: string): void {
  const uid = process.geteuid?.()
  if (!stats.isFile()) throw new KeytabError('format', path, 'is not a regular file: "keytabPath" must name a keytab')
  if (stats.uid !== 0 && stats.uid !== uid)
    throw new KeytabError(
      'owner',
      path,
      `belongs to uid ${stats.uid}, who can change it: chown ${uid} ${word(path)}, or to root`,
    )
  const open = stats.mode & 0o027
  if (open !== 0) {
    const who = (open & 0o007) !== 0 ? 'is open to everybody' : 'may be changed by its group'
    const remedy = `chmod ${stats.uid === uid ? '0400' : '0440'} ${word(path)}`
    throw new KeytabError('permissions', path, `${who} (mode ${octal(stats.mode)}): ${remedy}`)
  }
  if ((stats.mode & 0o040) !== 0 && ![process.getegid?.(), ...(process.getgroups?.() ?? [])].includes(stats.gid))
    throw new KeytabError(
      'permissions',
      path,
      `may be read by group ${stats.gid}, which is none of ours (mode ${octal(stats.mode)}): chmod 0400 ${word(path)}`,
    )
  if (stats.size === 0) throw new KeytabError('empty', path, `is empty: ${EXPORT_AGAIN}`)
  if (stats.size > MAX_SIZE)
    throw new KeytabError('format', path, `has ${stats.size} bytes: a keytab has at most ${MAX_SIZE}`)
}

/** @see https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html */
function readEntries(fd: number, size: number, path: string): KeytabEntry[] {
  const damaged = (problem: string) => new KeytabError('format', path, `${problem}: ${EXPORT_AGAIN}`)
  const truncated = () => damaged(`is truncated at byte ${size}`)
  let at = 0
  /** Where the entry ends that is being read. */
  let end: number | undefined
  function leap(length: number): void {
    if (end !== undefined && at + length > end)
      throw damaged(`is damaged: the entry that ends at byte ${end} is too short for what it holds`)
    if (at + length > size) throw truncated()
    at += length
  }
  function take(length: number): Buffer {
    const from = at
    leap(length)
    const bytes = Buffer.alloc(length)
    for (let got = 0; got < length; ) {
      const read = readSync(fd, bytes, got, length - got, from + got)
      if (read === 0) throw truncated()
      got += read
    }
    return bytes
  }
  function text(): string {
    const bytes = take(take(2).readUInt16BE())
    const name = bytes.toString('utf8')
    if (/\p{Cc}/u.test(name) || !Buffer.from(name).equals(bytes))
      throw damaged(`is damaged: the name before byte ${at} is not text`)
    return name
  }
  function entry(next: number): KeytabEntry {
    end = next
    const count = take(2).readUInt16BE()
    const realm = text()
    if (count === 0) throw damaged(`is damaged: the entry at byte ${at} has no name`)
    const names: string[] = []
    for (let index = 0; index < count; index++) names.push(text())
    take(8) // the type of the name and the time of writing
    let kvno = take(1).readUInt8()
    const enctype = take(2).readInt16BE()
    leap(take(2).readUInt16BE()) // over the key
    // The whole number, where the first 8 bits are too few; 0 from writers that only pad.
    if (next - at >= 4) kvno = take(4).readUInt32BE() || kvno
    end = undefined
    return { principal: `${names.map(escaped).join('/')}@${escaped(realm)}`, kvno, enctype }
  }

  checkVersion(size < 2 ? Buffer.alloc(0) : take(2), path)
  const entries: KeytabEntry[] = []
  while (at < size) {
    const length = take(4).readInt32BE()
    if (length === 0) break
    const next = at + Math.abs(length)
    if (next > size) throw truncated()
    // A negative length is the room that a deleted entry left.
    if (length > 0) entries.push(entry(next))
    at = next
  }
  return entries
}

function checkVersion(version: Buffer, path: string): void {
  if (version[0] === 5 && version[1] === 2) return
  if (version[0] === 5 && version[1] === 1)
    throw new KeytabError('format', path, `has the old format 0x0501, not 0x0502: ${EXPORT_AGAIN}`)
  if (version[0] === 5 && (version[1] === 3 || version[1] === 4))
    throw new KeytabError('format', path, 'is a credential cache, not a keytab: "keytabPath" must name a keytab')
  throw new KeytabError('format', path, 'is not a keytab: it must begin with 0x0502')
}

/**
 * The first of `candidates` whose newest key is of a type that is used.
 * @throws KeytabError that says what the keytab holds instead
 */
export function chooseClient(keytab: Keytab, candidates: readonly string[]): string {
  const weak: string[] = []
  for (const candidate of candidates) {
    const keys = keytab.entries.filter(({ principal }) => principal === candidate)
    const newest = Math.max(...keys.map(({ kvno }) => kvno))
    const enctypes = keys.filter(({ kvno }) => kvno === newest).map(({ enctype }) => enctype)
    if (enctypes.some(isPermittedEnctype)) return candidate
    if (enctypes.length > 0)
      weak.push(`of ${candidate} only ${enctypes.map(enctypeName).join(', ')} (key version ${newest})`)
  }
  if (weak.length > 0)
    throw new KeytabError(
      'weak',
      keytab.path,
      `holds ${weak.join(', and ')}, which is not used. Let the account have AES keys: Set-ADUser <account> -Replace ` +
        "@{'msDS-SupportedEncryptionTypes'=24}, set its password again, then export the keytab with ktpass … /crypto " +
        'AES256-SHA1 or samba-tool domain exportkeytab <file> --principal=<account>',
    )
  const held = [...new Set(keytab.entries.map(({ principal }) => principal))]
  const wanted = candidates.join(' or ')
  const close = held.find((principal) => candidates.some((one) => one.toLowerCase() === principal.toLowerCase()))
  if (close !== undefined)
    throw new KeytabError(
      'principal',
      keytab.path,
      `has no key of ${wanted}, but one of ${close}: only the case differs. Spell the options as the keytab does`,
    )
  const more = held.length > MAX_SHOWN ? ` and ${held.length - MAX_SHOWN} more` : ''
  throw new KeytabError(
    'principal',
    keytab.path,
    `has no key of ${wanted}; it holds keys of ${held.slice(0, MAX_SHOWN).join(', ')}${more}. Export it for that ` +
      'account, or name the account that it is for',
  )
}

function escaped(name: string): string {
  return name.replace(/[/@\\]/g, '\\$&')
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

/** A path on one line. */
function shown(path: string): string {
  return /\p{Cc}/u.test(path) ? JSON.stringify(path) : path
}

/** A path as a word of a shell's command. */
function word(path: string): string {
  return /^[\w./:@+-]+$/.test(path) ? path : `'${shown(path).replaceAll("'", "'\\''")}'`
}
