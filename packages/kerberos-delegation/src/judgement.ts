import type { Refusal, TicketUser } from './engine/messages.ts'
import type { LogonInfo, UpnInfo } from './pac.ts'

/** How a user is judged by the privilege attributes in the evidence ticket. Plain data: it is sent to the helper process. */
export interface JudgementRules {
  /**
   * `required`: a ticket without a PAC is refused. `none`: it passes unjudged, for realms that issue none, unless there
   * is a `deny` or a `requireGroupSid`; where there is a PAC all the same, it is judged.
   */
  readonly pac: 'required' | 'none'
  /** Users and groups that are refused, by SID. */
  readonly deny: readonly string[]
  /** Groups of which the user must be in at least one, by SID; empty: no such condition. */
  readonly requireGroupSid: readonly string[]
}

/** What was decoded of the PAC in a ticket. */
export interface Pac {
  readonly logon: LogonInfo
  readonly upn: UpnInfo | undefined
}

/** Why a user is refused. */
export interface Judgement {
  readonly refusal: Refusal
  /** The SID that decided, where one did. */
  readonly sid?: string
}

// USER_ACCOUNT codes of MS-SAMR 2.2.1.12; those of userAccountControl in LDAP are others.
const DISABLED = 0x1
const INTERDOMAIN_TRUST = 0x40
const WORKSTATION_TRUST = 0x80
const SERVER_TRUST = 0x100
const LOCKED = 0x400
const NOT_DELEGATED = 0x4000

/**
 * Administrator, Guest, krbtgt, DefaultAccount; Domain Admins, Domain Controllers, Cert Publishers, Schema Admins,
 * Enterprise Admins, Group Policy Creator Owners, Read-only Domain Controllers; Key Admins, Enterprise Key Admins.
 */
const PRIVILEGED_RIDS: ReadonlySet<number> = new Set([500, 501, 502, 503, 512, 516, 517, 518, 519, 520, 521, 526, 527])
const PROTECTED_USERS = 525
/** Administrators, Account Operators, Server Operators, Print Operators, Backup Operators. */
const PRIVILEGED_BUILTIN = /^S-1-5-32-(?:544|548|549|550|551)$/
const OF_A_DOMAIN = /^S-1-5-21-\d+-\d+-\d+-(\d+)$/

/**
 * Whether the service may act as the user whom the PAC is about; undefined: it may. Privilege goes by SID, of any
 * domain, so that renamed accounts and SID history count. With `delegate` false only the user's identity is wanted:
 * then an account that is sensitive passes. A member of Protected Users never does.
 */
export function judge(
  pac: Pac | undefined,
  asked: TicketUser,
  rules: JudgementRules,
  { delegate }: { readonly delegate: boolean },
): Judgement | undefined {
  if (pac === undefined) {
    const unconditional = rules.deny.length === 0 && rules.requireGroupSid.length === 0
    return rules.pac === 'none' && unconditional ? undefined : { refusal: 'no-pac' }
  }
  const { account, userAccountControl: flags, sid, groups } = pac.logon
  if (!isAbout(pac, asked)) return { refusal: 'other-account' }
  if ((flags & (INTERDOMAIN_TRUST | WORKSTATION_TRUST | SERVER_TRUST)) !== 0 || account.trimEnd().endsWith('$'))
    return { refusal: 'machine' }
  if ((flags & (DISABLED | LOCKED)) !== 0) return { refusal: 'disabled' }

  const sids = [sid, ...groups]
  const denied = sids.find((one) => rules.deny.includes(one))
  if (denied !== undefined) return { refusal: 'denied-sid', sid: denied }
  const privileged = sids.find(isPrivileged)
  if (privileged !== undefined) return { refusal: 'privileged', sid: privileged }
  const guarded = sids.find(isProtectedUsers)
  if (guarded !== undefined) return { refusal: 'not-delegated', sid: guarded }
  if (delegate && isSensitive(pac)) return { refusal: 'not-delegated' }
  if (rules.requireGroupSid.length > 0 && !rules.requireGroupSid.some((one) => groups.includes(one)))
    return { refusal: 'missing-group' }
  return undefined
}

/** Whether the domain does not want the user delegated: a sensitive account, or one in Protected Users. */
export function isNotDelegated(pac: Pac): boolean {
  return isSensitive(pac) || pac.logon.groups.some(isProtectedUsers)
}

function isSensitive({ logon }: Pac): boolean {
  return (logon.userAccountControl & NOT_DELEGATED) !== 0
}

function isProtectedUsers(sid: string): boolean {
  return ridOf(sid) === PROTECTED_USERS
}

/** Whether all that the PAC says names the account that was asked for. */
function isAbout({ logon, upn }: Pac, { name, enterprise, realm }: TicketUser): boolean {
  if (upn !== undefined) {
    if (!same(upn.dnsDomain, realm)) return false
    if (upn.sid !== undefined && upn.sid !== logon.sid) return false
    if (upn.account !== undefined && !same(upn.account, logon.account)) return false
  }
  if (enterprise) return upn !== undefined && same(upn.upn, name)
  return same(`${logon.account}@${realm}`, name)
}

/**
 * Equal but for case, character by character. A letter never becomes an ASCII letter (the Kelvin sign is no K) nor
 * several letters, and nothing is decomposed: where the domain is laxer, the user is refused.
 */
function same(one: string, other: string): boolean {
  return folded(one) === folded(other)
}

function folded(text: string): string {
  return Array.from(text, (character) => {
    const lower = character.toLowerCase()
    const isOne = Array.from(lower).length === 1
    return character <= '\x7f' || (isOne && lower > '\x7f') ? lower : character
  }).join('')
}

function isPrivileged(sid: string): boolean {
  const rid = ridOf(sid)
  return PRIVILEGED_BUILTIN.test(sid) || (rid !== undefined && PRIVILEGED_RIDS.has(rid))
}

/** The relative identifier of an account or group of a domain. */
function ridOf(sid: string): number | undefined {
  const rid = OF_A_DOMAIN.exec(sid)?.[1]
  return rid === undefined ? undefined : Number(rid)
}
