import type { TicketUser } from './engine/messages.ts'

/** What {@link userNames} takes. */
export interface UserNamesOptions {
  /** The realm of users without a suffix. */
  readonly realm: string
  /** Suffix of user principal names → realm that knows them. Nothing is derived: `example.com` says nothing of `a.example.com`. */
  readonly realms?: Readonly<Record<string, string>> | undefined
}

const REALM = /^[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?(?:\.[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?)*$/
const MAX_REALM = 255
const MAX_BYTES = 256
/** What account names can't hold or a principal's name gives a meaning to, and whatever can't be seen. */
const UNCLEAN = /[/@\\"[\]:;|=,+*?<>]|\p{C}|(?! )\p{Z}/u

/**
 * A realm: the domain's DNS name in upper case.
 * @throws TypeError naming `option`
 */
export function checkRealm(realm: unknown, option: string): string {
  if (isRealm(realm)) return realm
  const hint = typeof realm === 'string' && isRealm(upper(realm)) ? ', in upper case' : ''
  throw new TypeError(`"${option}" must be a realm such as CORP.EXAMPLE${hint}`)
}

/**
 * Turns mapped principals (`alice`, `alice@corp.example`, `jane@example.com`) into whom the KDC is asked for: an account
 * of the realm, or for a suffix of `realms` a user principal name of the realm behind it. A name has one meaning: a
 * suffix that is not listed is refused, never cut off or taken for a realm.
 * @throws TypeError naming the option
 */
export function userNames(options: UserNamesOptions): (principal: string) => TicketUser | undefined {
  const realm = checkRealm(options.realm, 'realm')
  const own = lower(realm)
  const bySuffix = new Map<string, string>()
  const { realms = {} } = options
  if (typeof realms !== 'object' || realms === null || Array.isArray(realms))
    throw new TypeError('"realms" must be an object of suffixes and their realms')
  for (const [suffix, value] of Object.entries(realms)) {
    const option = `realms.${JSON.stringify(suffix).slice(1, -1)}`
    if (!isRealm(upper(suffix))) throw new TypeError(`"${option}" must be for a suffix such as example.com`)
    const key = lower(suffix)
    if (bySuffix.has(key)) throw new TypeError(`"${option}" is there already, in another case`)
    bySuffix.set(key, checkRealm(value, option))
    if (key === own && value !== realm)
      throw new TypeError(`"${option}" must be ${realm}, since it is that realm's own suffix`)
  }
  return (principal) => {
    const at = principal.lastIndexOf('@')
    const name = lower(at < 0 ? principal : principal.slice(0, at))
    const suffix = at < 0 ? own : lower(principal.slice(at + 1))
    if (name === '' || Buffer.byteLength(name) > MAX_BYTES || UNCLEAN.test(name)) return undefined
    // Machines' names end in $; what spaces and dots at the ends are worth differs from system to system.
    if (/^[ .]|[ .$]$/.test(name)) return undefined
    if (suffix === own) return { name: `${name}@${realm}`, enterprise: false, realm }
    const other = bySuffix.get(suffix)
    return other === undefined ? undefined : { name: `${name}@${suffix}`, enterprise: true, realm: other }
  }
}

function isRealm(text: unknown): text is string {
  return typeof text === 'string' && text.length <= MAX_REALM && REALM.test(text)
}

function upper(text: string): string {
  return text.replace(/[a-z]/g, (letter) => letter.toUpperCase())
}

/** In lower case as far as it is ASCII; other letters stay, whatever they look like. */
export function lower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
