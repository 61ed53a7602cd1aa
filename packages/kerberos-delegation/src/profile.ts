import { isIPv4, isIPv6 } from 'node:net'
import { permittedEnctypes } from './enctypes.ts'
import { checkRealm } from './names.ts'

/** What {@link profileText} takes; the names are those of the module's options. */
export interface ProfileOptions {
  readonly realm: string
  /** KDCs as host or host:port, asked in this order; absent with `discovery`. */
  readonly kdc?: string | readonly string[] | undefined
  /** `dns`: KDCs are found by the SRV records of each realm. */
  readonly discovery?: 'dns' | undefined
  /** The longest life of a ticket, in milliseconds. */
  readonly ticketLifetime: number
}

const MAX_KDCS = 16
const MAX_HOST = 253
const PORT = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]]+))(?::(?<port>[1-9]\d{0,4}))?$/
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

/**
 * The whole krb5.conf of the helper process. Its settings and its realm are final, so that no file that is merged with it
 * adds a KDC or changes a setting. Preauthentication plugins of the system are not loaded: a keytab needs none.
 * @throws TypeError naming the option
 */
export function profileText(options: ProfileOptions): string {
  const { realm, kdc, discovery, ticketLifetime } = options
  const seconds = Math.floor(ticketLifetime / 1000)
  if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > 2 ** 31 - 1)
    throw new TypeError('"ticketLifetime" must be a number of milliseconds, 1000 or more')
  if (discovery !== undefined && discovery !== 'dns') throw new TypeError('"discovery" must be "dns" where it is given')
  if ((kdc === undefined) === (discovery === undefined))
    throw new TypeError('either "kdc" or "discovery" must be given, and not both')
  checkRealm(realm, 'realm')
  const kdcs = kdc === undefined ? [] : checkKdcs(kdc)
  return `[libdefaults]*
  default_realm = ${realm}
  dns_lookup_kdc = ${discovery === 'dns'}
  dns_lookup_realm = false
  dns_uri_lookup = false
  dns_canonicalize_hostname = false
  rdns = false
  qualify_shortname = ""
  udp_preference_limit = 1
  forwardable = true
  proxiable = false
  ticket_lifetime = ${seconds}
  kdc_timesync = 0
  allow_weak_crypto = false
  permitted_enctypes = ${permittedEnctypes.join(' ')}
  plugin_base_dir = /dev/null
[realms]
  ${realm} = {
${kdcs.map((one) => `    kdc = ${one}\n`).join('')}  }*
`
}

function checkKdcs(kdc: unknown): readonly string[] {
  if (typeof kdc === 'string') return [checkKdc(kdc, 'kdc')]
  if (!Array.isArray(kdc) || kdc.length === 0 || kdc.length > MAX_KDCS)
    throw new TypeError(`"kdc" must be host or host:port, or a list of 1 to ${MAX_KDCS} of them`)
  return (kdc as readonly unknown[]).map((one, index) => checkKdc(one, `kdc[${index}]`))
}

function checkKdc(kdc: unknown, option: string): string {
  const { six, host, port } = (typeof kdc === 'string' && PORT.exec(kdc)?.groups) || {}
  const known = (six !== undefined && isIPv6(six)) || (host !== undefined && (isIPv4(host) || isDnsName(host)))
  if (!known || Number(port ?? 1) > 65_535)
    throw new TypeError(`"${option}" must be host or host:port: a DNS name, an IPv4 address, or an IPv6 one in [ ]`)
  return kdc as string
}

function isDnsName(host: string): boolean {
  const labels = host.split('.')
  // A name of digits at its end would be taken for an address.
  return host.length <= MAX_HOST && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '')
}
