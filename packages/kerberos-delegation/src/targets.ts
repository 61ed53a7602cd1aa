/** The services for which tickets may be obtained. */
export interface AllowedTargets {
  /** The service as the list spells it, and without a realm; undefined where it is not in the list. */
  readonly match: (service: string) => string | undefined
}

/** A service principal name in its parts. */
interface Spn {
  readonly serviceClass: string
  readonly host: string
  /** `:port`, `:instance` or nothing. */
  readonly port: string
  /** `/name`, or nothing. */
  readonly name: string
}

const MAX_LENGTH = 260
const SPN =
  /^(?<serviceClass>[A-Za-z][A-Za-z0-9_-]{0,63})\/(?<host>[A-Za-z0-9*][A-Za-z0-9._*-]{0,252})(?<port>(?::[A-Za-z0-9_$-]{1,64})?)(?<name>(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,252})?)$/
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/

/**
 * `spn` as it is, where it is a service principal name without a realm: `class/host`, `class/host:port` or
 * `class/host:instance`, each with `/name` behind it where there is one.
 * @see MS-ADTS 2.2.21
 */
export function parseTarget(spn: unknown): string | undefined {
  const parts = typeof spn === 'string' ? parse(spn) : undefined
  return typeof spn === 'string' && parts !== undefined && isHost(parts.host) ? spn : undefined
}

/**
 * The list of an option: names of services, and patterns `HTTP/*.corp.example`, whose `*` stands for exactly one whole
 * label, the leftmost. Case does not matter, as in Active Directory; everything else does, the port included.
 * @throws TypeError naming the option and the entry
 */
export function allowedTargets(list: readonly string[], option: string): AllowedTargets {
  if (!Array.isArray(list) || list.length === 0)
    throw new TypeError(`"${option}" must be a list of at least one service`)
  /** What is looked up → the entry as it was spelled. */
  const exact = new Map<string, string>()
  const patterns = new Map<string, Spn>()
  for (const [index, entry] of (list as readonly unknown[]).entries()) {
    const parts = typeof entry === 'string' ? parse(entry) : undefined
    const isPattern = parts?.host.startsWith('*.') === true && isPatternHost(parts.host)
    if (typeof entry !== 'string' || parts === undefined || !(isPattern || isHost(parts.host)))
      throw new TypeError(
        `"${option}[${index}]" must be a service such as HTTP/web.corp.example or MSSQLSvc/db.corp.example:1433 ` +
          'without a realm, or a pattern such as HTTP/*.corp.example: one * for the first label, two or more labels after it',
      )
    const key = entry.toLowerCase()
    if (exact.has(key) || patterns.has(key))
      throw new TypeError(`"${option}[${index}]" is in the list already, perhaps in another case`)
    if (isPattern) patterns.set(key, parts)
    else exact.set(key, entry)
  }
  return {
    match: (service) => {
      const parts = parse(service)
      if (parts === undefined || !isHost(parts.host)) return undefined
      const named = exact.get(service.toLowerCase())
      if (named !== undefined) return named
      const { host, port, name } = parts
      const suffix = host.indexOf('.')
      if (suffix < 0) return undefined
      const pattern = patterns.get(`${parts.serviceClass}/*${host.slice(suffix)}${port}${name}`.toLowerCase())
      if (pattern === undefined) return undefined
      return `${pattern.serviceClass}/${host.toLowerCase()}${pattern.port}${pattern.name}`
    },
  }
}

function parse(spn: string): Spn | undefined {
  if (spn.length > MAX_LENGTH) return undefined
  const { serviceClass, host, port, name } = SPN.exec(spn)?.groups ?? {}
  if (serviceClass === undefined || host === undefined || port === undefined || name === undefined) return undefined
  return { serviceClass, host, port, name }
}

function isHost(host: string): boolean {
  return host.split('.').every((label) => LABEL.test(label))
}

function isPatternHost(host: string): boolean {
  const labels = host.split('.').slice(1)
  return labels.length >= 2 && labels.every((label) => LABEL.test(label))
}
