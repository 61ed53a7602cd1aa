import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'

/** A request that the KDC answered. */
export interface KdcRequest {
  /** `S4U2Self`: a ticket to the service itself in the name of a user. `S4U2Proxy`: one for another service with it. */
  readonly kind: 'AS' | 'TGS' | 'S4U2Self' | 'S4U2Proxy'
  /** Who asked: `svc-mcp@CORP.EXAMPLE`, also where it is for somebody else. */
  readonly client: string
  /** For which service: `HTTP/backend.corp.example@CORP.EXAMPLE`. */
  readonly server: string
  /** For whom, of S4U; undefined where the KDC refuses before it says so. */
  readonly impersonated: string | undefined
  /** `SUCCESS`, or Samba's word for the error: `ERR_BADOPTION`. Some have none: `UNKNOWN-0`. */
  readonly outcome: string
  /** 0, or the error code. @see RFC 4120 section 7.5.9 */
  readonly code: number
  /** Why not, in Samba's words. */
  readonly reason: string | undefined
  /** When it was answered, by the KDC's clock. */
  readonly at: Date
}

/** The KDC's log, as the requests in it. */
export interface KdcLog {
  /** Where it ends now. */
  mark(): number
  /** All requests after `since`, by default after the last {@link forget}. */
  requests(since?: number): readonly KdcRequest[]
  /** From now on, what is there already does not count. */
  forget(): void
}

/** Reads the log of a KDC at log level `kerberos:3`. It is written before the answer is sent. */
export function openKdcLog(path: string): KdcLog {
  let start = 0
  const read = (from: number): string => {
    const file = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from))
      return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, from))
    } finally {
      closeSync(file)
    }
  }
  const mark = (): number => statSync(path).size
  return {
    mark,
    requests: (since = start) => parseKdcLog(read(since)),
    forget: () => {
      start = mark()
    },
  }
}

/** A principal; spaces in it are escaped. */
const PRINCIPAL = String.raw`((?:\\.|[^\s\\])+)`
const TIME = /^\[(\d+)\/(\d+)\/(\d+) (\d+):(\d+):([\d.]+), /
const BEGIN = new RegExp(
  String.raw`^ {2}Kerberos: (?:AS|TGS)-REQ ${PRINCIPAL} from \S+ for ${PRINCIPAL}(?: \[(.*)\])?$`,
)
const SELF = new RegExp(String.raw`^ {2}Kerberos: s4u2self \S+ impersonating ${PRINCIPAL} `)
const ERROR = /^ {2}Kerberos: \w+-req: sending error: (-\d+) to client$/
const END = new RegExp(
  String.raw`^ {2}Kerberos: (AS|TGS)-REQ ([A-Z][\w-]*) \w+:\S+ ${PRINCIPAL} ${PRINCIPAL}((?: \S+=.*)?)$`,
)
const IMPERSONATED = new RegExp(` impersonatee=${PRINCIPAL}`)
/** What is subtracted from Kerberos errors to get the library's. */
const ERROR_TABLE = -1_765_328_384

/** What was read of a request that is not answered yet. */
interface Begun {
  readonly client?: string | undefined
  readonly isProxy?: boolean
  impersonated?: string | undefined
  code?: number
}

/** The requests in the text of a log. Samba in one process answers one after the other, so their lines are in order. */
export function parseKdcLog(text: string): readonly KdcRequest[] {
  const requests: KdcRequest[] = []
  let at = new Date(Number.NaN)
  let begun: Begun = {}
  for (const line of text.split('\n')) {
    const time = TIME.exec(line)
    if (time !== null) {
      const [, year, month, day, hour, minute, second] = time
      at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
      continue
    }
    const begin = BEGIN.exec(line)
    if (begin !== null)
      begun = { client: begin[1], isProxy: begin[3]?.split(', ').includes('cname-in-addl-tkt') === true }
    const self = SELF.exec(line)
    if (self !== null) begun.impersonated = self[1]
    const error = ERROR.exec(line)
    if (error !== null) begun.code = Number(error[1]) - ERROR_TABLE
    const end = END.exec(line)
    if (end === null) continue
    requests.push(requestOf(end, begun, at))
    begun = {}
  }
  return requests
}

function requestOf(end: RegExpExecArray, begun: Begun, at: Date): KdcRequest {
  const [, type, outcome = '', named = '', server = '', details = ''] = end
  // The last line names the user instead of who asked where S4U succeeds.
  const { client = named, isProxy = false, impersonated, code = 0 } = begun
  const isSelf = impersonated !== undefined || client === server
  return {
    kind: type === 'AS' ? 'AS' : isProxy ? 'S4U2Proxy' : isSelf ? 'S4U2Self' : 'TGS',
    client,
    server,
    impersonated: isProxy ? IMPERSONATED.exec(details)?.[1] : impersonated,
    outcome,
    code,
    reason: / reason=(.*)$/.exec(details)?.[1],
    at,
  }
}
