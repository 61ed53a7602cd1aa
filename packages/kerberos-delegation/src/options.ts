import { type PrincipalMapping, type PrincipalMappingOptions, principalMapping } from '@mcp-delegation/core'
import type { TicketUser } from './engine/messages.ts'
import type { JudgementRules } from './judgement.ts'
import { chooseClient, KeytabError, readKeytab } from './keytab.ts'
import { checkRealm, userNames } from './names.ts'
import { profileText } from './profile.ts'
import { parseSid } from './sid.ts'
import { type AllowedTargets, allowedTargets, parseTarget } from './targets.ts'

/** What `kerberosDelegation` takes. */
export interface KerberosDelegationOptions {
  /** The domain's Kerberos realm, in upper case: `CORP.EXAMPLE`. */
  readonly realm: string
  /** The domain's KDCs, `host` or `host:port`; asked in this order. Not together with `discovery`. */
  readonly kdc?: string | readonly string[] | undefined
  /** `dns`: the KDCs are looked up as `_kerberos._tcp.<realm>`. @see https://www.rfc-editor.org/rfc/rfc4120#section-7.2.3.2 */
  readonly discovery?: 'dns' | undefined
  /**
   * Suffixes of user principal names that belong to this realm besides its own, each with the realm:
   * `{ 'example.com': 'CORP.EXAMPLE' }`. A principal with any other suffix is denied. Default: none.
   */
  readonly realms?: Readonly<Record<string, string>> | undefined
  /** The SPN of this server, without realm: what the account logs in as where the keytab has no entry for its name. */
  readonly servicePrincipalName?: string | undefined
  /** The account that may act for users. */
  readonly serviceAccount: {
    /** Its name (sAMAccountName), without realm. */
    readonly username: string
    /** An absolute path. The file is private: nothing for others, and it belongs to this process's user or to root. */
    readonly keytabPath: string
  }
  /**
   * The targets that tools may ask for: service principal names without realm, whose host may begin with `*.` for any
   * one label: `HTTP/backend.corp.example`, `HTTP/*.corp.example`. Others are denied.
   */
  readonly allowedDelegationTargets: readonly string[]
  /**
   * From sessions to users of the domain: an account name (`alice`), or a user principal name (`alice@corp.example`).
   * Names that differ in case are one.
   */
  readonly principal: Omit<PrincipalMappingOptions, 'case'>
  /** Users and groups, by SID, that are refused besides the privileged ones. Default: none. */
  readonly deny?: readonly string[] | undefined
  /** The group, or groups of which one is enough, by SID, that a user must be in. Default: none. */
  readonly requireGroupSid?: string | readonly string[] | undefined
  /**
   * `required`: a ticket without privilege attributes is refused. `none`: for realms that issue none; who has none is not
   * judged then, unless there is a `deny` or a `requireGroupSid`, which refuse them. Default: `required`.
   */
  readonly pac?: 'required' | 'none' | undefined
  /** How long a ticket is used, in milliseconds, from 300,000 to 86,400,000. Default: 3,600,000 (one hour). */
  readonly maxTicketLifetime?: number | undefined
  /** How long obtaining a ticket may take, in milliseconds, from 100 to 60,000. Default: 3,000. */
  readonly deadline?: number | undefined
  /** The targets whose tickets may be written to files, spelled as in `allowedDelegationTargets`. Default: none. */
  readonly allowExport?: readonly string[] | undefined
}

/** Options that were checked. */
export interface CheckedOptions {
  readonly realm: string
  /** The account's name, without realm. */
  readonly account: string
  /** What the account logs in as, with realm. */
  readonly servicePrincipal: string
  readonly keytabPath: string
  readonly profile: string
  readonly targets: AllowedTargets
  readonly mayExport: AllowedTargets | undefined
  readonly mapping: PrincipalMapping
  readonly userOf: (mapped: string) => TicketUser | undefined
  readonly rules: JudgementRules
  readonly maxTicketLifetime: number
  readonly deadline: number
}

const ACCOUNT = /^[A-Za-z0-9](?:[A-Za-z0-9._$-]{0,253}[A-Za-z0-9$_-])?$/

/** @throws TypeError naming the option that is wrong. */
export function checkOptions(options: KerberosDelegationOptions): CheckedOptions {
  if (options === null || typeof options !== 'object') throw new TypeError('"options" must be an object')
  checkNames(options)
  const { realm, realms, servicePrincipalName, serviceAccount, pac = 'required', discovery } = options
  const { maxTicketLifetime = 3_600_000, deadline = 3_000 } = options
  checkRealm(realm, 'realm')
  for (const [suffix, other] of Object.entries(realms ?? {}))
    if (other !== realm)
      throw new TypeError(`"realms.${suffix}" must be '${realm}': users of other realms are not supported`)
  if (pac !== 'required' && pac !== 'none') throw new TypeError("\"pac\" must be 'required' or 'none'")
  checkRange(maxTicketLifetime, 'maxTicketLifetime', 300_000, 86_400_000)
  checkRange(deadline, 'deadline', 100, 60_000)
  if (discovery !== undefined && discovery !== 'dns') throw new TypeError('"discovery" must be \'dns\'')
  if ((options.kdc === undefined) === (discovery === undefined))
    throw new TypeError('"kdc" must name the KDCs, or "discovery" be \'dns\'')
  const { account, keytabPath } = checkAccount(serviceAccount)
  if (servicePrincipalName !== undefined && parseTarget(servicePrincipalName) === undefined)
    throw new TypeError('"servicePrincipalName" must be a service principal name without realm: HTTP/mcp.corp.example')
  const targets = allowedTargets(options.allowedDelegationTargets, 'allowedDelegationTargets')
  const { issuers, links } = options.principal ?? {}
  return {
    realm,
    account,
    servicePrincipal: clientOf(
      keytabPath,
      [account, ...(servicePrincipalName === undefined ? [] : [servicePrincipalName])],
      realm,
    ),
    keytabPath,
    profile: profileText({ realm, kdc: options.kdc, discovery, ticketLifetime: maxTicketLifetime }),
    targets,
    mayExport: checkExports(options.allowExport, targets),
    mapping: checkMapping(() => principalMapping({ issuers: issuers as never, links, case: 'insensitive' })),
    userOf: userNames({ realm, realms }),
    rules: {
      pac,
      deny: options.deny === undefined ? [] : checkSids(options.deny, 'deny'),
      requireGroupSid: checkRequired(options.requireGroupSid),
    },
    maxTicketLifetime,
    deadline,
  }
}

const KNOWN: ReadonlySet<string> = new Set<keyof KerberosDelegationOptions>([
  'realm',
  'kdc',
  'discovery',
  'realms',
  'servicePrincipalName',
  'serviceAccount',
  'allowedDelegationTargets',
  'principal',
  'deny',
  'requireGroupSid',
  'pac',
  'maxTicketLifetime',
  'deadline',
  'allowExport',
])

/** A misspelled `deny` must not allow anybody. */
function checkNames(options: object): void {
  const unknown = Object.keys(options).find((name) => !KNOWN.has(name))
  if (unknown !== undefined) throw new TypeError(`"${unknown}" is not an option`)
}

function checkAccount(given: KerberosDelegationOptions['serviceAccount']): { account: string; keytabPath: string } {
  const { username, keytabPath } = given ?? {}
  if (typeof username !== 'string' || !ACCOUNT.test(username))
    throw new TypeError('"serviceAccount.username" must be the name of an account, without realm')
  if (typeof keytabPath !== 'string' || !keytabPath.startsWith('/') || /[\0\n\r]/.test(keytabPath))
    throw new TypeError('"serviceAccount.keytabPath" must be an absolute path')
  return { account: username, keytabPath }
}

function clientOf(keytabPath: string, names: readonly string[], realm: string): string {
  try {
    return chooseClient(
      readKeytab(keytabPath),
      names.map((name) => `${name}@${realm}`),
    )
  } catch (cause) {
    if (!(cause instanceof KeytabError)) throw cause
    throw new TypeError(`"serviceAccount.keytabPath": ${cause.message}`, { cause })
  }
}

function checkExports(given: readonly string[] | undefined, targets: AllowedTargets): AllowedTargets | undefined {
  if (given === undefined || (Array.isArray(given) && given.length === 0)) return undefined
  const exports = allowedTargets(given, 'allowExport')
  given.forEach((spn, index) => {
    if (spn.includes('*') || targets.match(spn) === undefined)
      throw new TypeError(`"allowExport[${index}]" must be one target that "allowedDelegationTargets" allows`)
  })
  return exports
}

function checkMapping(make: () => PrincipalMapping): PrincipalMapping {
  try {
    return make()
  } catch (error) {
    if (error instanceof TypeError) throw new TypeError(error.message.replace(/^"/, '"principal.'), { cause: error })
    throw error
  }
}

function checkSids(given: readonly string[], option: string): readonly string[] {
  if (!Array.isArray(given)) throw new TypeError(`"${option}" must be a list of SIDs`)
  return given.map((one, index) => {
    const sid = parseSid(one)
    if (sid === undefined) throw new TypeError(`"${option}[${index}]" must be a SID: S-1-5-21-…`)
    return sid
  })
}

/** A list that is there and empty would let everybody in. */
function checkRequired(given: KerberosDelegationOptions['requireGroupSid']): readonly string[] {
  if (given === undefined) return []
  const sids = checkSids(typeof given === 'string' ? [given] : given, 'requireGroupSid')
  if (sids.length === 0) throw new TypeError('"requireGroupSid" must name at least one group where it is given')
  return sids
}

function checkRange(value: unknown, option: string, min: number, max: number): void {
  if (typeof value === 'number' && value >= min && value <= max) return
  throw new TypeError(`"${option}" must be a number of milliseconds from ${min} to ${max}`)
}
