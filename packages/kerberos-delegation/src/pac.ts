import { type NdrReader, ndrReader, PacError } from './ndr.ts'
import { decodeSid } from './sid.ts'

/** Who the user is, by the domain. @see MS-PAC 2.5 */
export interface LogonInfo {
  /** The account's name, sAMAccountName. */
  readonly account: string
  readonly fullName: string | undefined
  /** The domain's NetBIOS name. */
  readonly domain: string
  /** The account's relative identifier. */
  readonly userId: number
  readonly primaryGroupId: number
  readonly sid: string
  /** Every group, once: of the domain with the primary one, extra SIDs (of other domains, SID history), of the resource. */
  readonly groups: readonly string[]
  /** USER_ACCOUNT codes. @see MS-SAMR 2.2.1.12 */
  readonly userAccountControl: number
  readonly userFlags: number
}

/** The user's name in the directory. @see MS-PAC 2.10 */
export interface UpnInfo {
  readonly upn: string
  /** False where the account has none and the domain made this one up. */
  readonly explicit: boolean
  /** The domain's DNS name. */
  readonly dnsDomain: string
  /** sAMAccountName, from domains that say it. */
  readonly account: string | undefined
  readonly sid: string | undefined
}

const DOMAIN_SID = /^S-1-5-21-\d+-\d+-\d+$/
const NO_UPN = 0x1
const EXTENDED = 0x2

/** What the fixed part says about a string that follows it. */
interface TextHeader {
  readonly length: number
  readonly maximum: number
  readonly present: boolean
}

/** What the fixed part says about a list that follows it. */
interface ListHeader {
  readonly count: number
  readonly present: boolean
}

/**
 * Decodes the buffer LOGON_INFO, a KERB_VALIDATION_INFO.
 * @see MS-PAC 2.5
 * @throws PacError for whatever is malformed
 */
export function decodeLogonInfo(data: Uint8Array): LogonInfo {
  const ndr = ndrReader(data)
  if (ndr.u32() === 0) throw new PacError('it holds no logon information')

  // The fixed part, in its order.
  ndr.bytes(48) // six times
  const accountHeader = textHeader(ndr)
  const fullNameHeader = textHeader(ndr)
  const otherHeaders = [textHeader(ndr), textHeader(ndr), textHeader(ndr), textHeader(ndr)]
  ndr.bytes(4) // counts of logons and bad passwords
  const userId = ndr.u32()
  const primaryGroupId = ndr.u32()
  const groupHeader = listHeader(ndr)
  const userFlags = ndr.u32()
  ndr.bytes(16) // the session key
  const serverHeader = textHeader(ndr)
  const domainHeader = textHeader(ndr)
  const domainPresent = ndr.u32() !== 0
  ndr.bytes(8)
  const userAccountControl = ndr.u32()
  ndr.bytes(28) // subauthentication status, interactive logons, reserved
  const extraHeader = listHeader(ndr)
  const resourcePresent = ndr.u32() !== 0
  const resourceHeader = listHeader(ndr)

  // What it refers to, in the order of the references.
  const account = name(text(ndr, accountHeader), 'account')
  const fullName = text(ndr, fullNameHeader)
  for (const header of otherHeaders) text(ndr, header)
  const rids = memberships(ndr, groupHeader)
  text(ndr, serverHeader)
  const domain = name(text(ndr, domainHeader), 'domain')
  const domainSid = domainPresent ? sid(ndr) : undefined
  const extra = extraSids(ndr, extraHeader)
  const resourceSid = resourcePresent ? sid(ndr) : undefined
  const resourceRids = memberships(ndr, resourceHeader)

  if (domainSid === undefined || !DOMAIN_SID.test(domainSid) || userId === 0)
    throw new PacError('the account has no SID of its domain')
  if (resourceSid === undefined && resourceRids.length > 0) throw new PacError('there are resource groups of no domain')
  const groups = [
    ...[primaryGroupId, ...rids].map((rid) => `${domainSid}-${rid}`),
    ...extra,
    ...resourceRids.map((rid) => `${resourceSid}-${rid}`),
  ]
  return {
    account,
    fullName: fullName === '' ? undefined : fullName,
    domain,
    userId,
    primaryGroupId,
    sid: `${domainSid}-${userId}`,
    groups: [...new Set(groups)],
    userAccountControl,
    userFlags,
  }
}

function textHeader(ndr: NdrReader): TextHeader {
  return { length: ndr.u16(), maximum: ndr.u16(), present: ndr.u32() !== 0 }
}

function listHeader(ndr: NdrReader): ListHeader {
  return { count: ndr.u32(), present: ndr.u32() !== 0 }
}

/** RPC_UNICODE_STRING's buffer. @see MS-DTYP 2.3.10 */
function text(ndr: NdrReader, { length, maximum, present }: TextHeader): string {
  if (length % 2 !== 0 || length > maximum) throw new PacError('a text has a wrong length')
  if (!present) {
    if (length > 0) throw new PacError('a text is missing')
    return ''
  }
  ndr.align()
  const most = ndr.u32()
  const offset = ndr.u32()
  const actual = ndr.u32()
  if (offset !== 0 || actual !== length / 2 || most !== Math.floor(maximum / 2))
    throw new PacError('a text contradicts its header')
  return utf16(ndr.bytes(length))
}

/** GROUP_MEMBERSHIP: relative identifiers; their attributes are not looked at. @see MS-PAC 2.2.2 */
function memberships(ndr: NdrReader, header: ListHeader): number[] {
  const rids: number[] = []
  for (let left = count(ndr, header, 8); left > 0; left--) {
    rids.push(ndr.u32())
    ndr.u32()
  }
  return rids
}

/** KERB_SID_AND_ATTRIBUTES: all references first, then what they refer to. @see MS-PAC 2.2.1 */
function extraSids(ndr: NdrReader, header: ListHeader): string[] {
  const listed = count(ndr, header, 8)
  for (let index = 0; index < listed; index++) {
    if (ndr.u32() === 0) throw new PacError('an extra SID is missing')
    ndr.u32()
  }
  return Array.from({ length: listed }, () => sid(ndr))
}

/** How many elements follow, of which each takes at least `size` bytes. */
function count(ndr: NdrReader, header: ListHeader, size: number): number {
  if (!header.present) {
    if (header.count > 0) throw new PacError('a list is missing')
    return 0
  }
  ndr.align()
  const most = ndr.u32()
  if (most !== header.count) throw new PacError('a list contradicts its header')
  if (most > ndr.left() / size) throw new PacError('a list is longer than what is left')
  return most
}

/** RPC_SID. @see MS-DTYP 2.4.2.3 */
function sid(ndr: NdrReader): string {
  ndr.align()
  const subAuthorities = ndr.u32()
  if (subAuthorities > 15) throw new PacError('a SID is too long')
  const decoded = decodeSid(ndr.bytes(8 + 4 * subAuthorities))
  if (decoded === undefined) throw new PacError('a SID is none')
  return decoded
}

/**
 * Decodes the buffer UPN_DNS_INFO.
 * @see MS-PAC 2.10
 * @throws PacError for whatever is malformed
 */
export function decodeUpnInfo(data: Uint8Array): UpnInfo {
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (view.length < 12) throw new PacError('the names are shorter than their header')
  const flags = view.readUInt32LE(8)
  const extended = (flags & EXTENDED) !== 0
  const header = extended ? 20 : 12
  if (view.length < header) throw new PacError('the names are shorter than their header')
  /** What the length and the offset at `at` tell of. */
  function part(at: number): Buffer {
    const length = view.readUInt16LE(at)
    const offset = view.readUInt16LE(at + 2)
    if (length > 0 && (offset < header || offset + length > view.length))
      throw new PacError('a name lies outside of its buffer')
    return view.subarray(offset, offset + length)
  }
  const upn = name(utf16(part(0)), 'user principal')
  const dnsDomain = name(utf16(part(4)), 'domain')
  const explicit = (flags & NO_UPN) === 0
  if (!extended) return { upn, explicit, dnsDomain, account: undefined, sid: undefined }
  const sid = decodeSid(part(16))
  if (sid === undefined) throw new PacError('a SID is none')
  return { upn, explicit, dnsDomain, account: name(utf16(part(12)), 'account'), sid }
}

function utf16(bytes: Buffer): string {
  if (bytes.length % 2 !== 0) throw new PacError('a text has a wrong length')
  const decoded = bytes.toString('utf16le')
  if (/\p{Cs}/u.test(decoded)) throw new PacError('a text is not Unicode')
  return decoded
}

function name(decoded: string, what: string): string {
  if (decoded === '' || /\p{Cc}/u.test(decoded)) throw new PacError(`the name of the ${what} is none`)
  return decoded
}
