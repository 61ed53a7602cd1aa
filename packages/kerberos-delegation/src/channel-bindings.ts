import { createHash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { DelegationError } from '@mcp-delegation/core'

const PREFIX = 'tls-server-end-point:'
const SEQUENCE = 0x30
const OBJECT_IDENTIFIER = 0x06
const HASH_ALGORITHM = 0xa0

const RSA_PSS = '2a864886f70d01010a'
/** Identifiers of signature algorithms → their hash. MD5 and SHA-1 stand in as SHA-256, as RFC 5929 wants it. */
const SIGNATURES: ReadonlyMap<string, string> = new Map([
  ['2a864886f70d010104', 'sha256'], // RSA with MD5
  ['2a864886f70d010105', 'sha256'], // RSA with SHA-1
  ['2a864886f70d01010e', 'sha224'],
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2a8648ce380403', 'sha256'], // DSA with SHA-1
  ['608648016503040301', 'sha224'],
  ['608648016503040302', 'sha256'],
  ['2a8648ce3d0401', 'sha256'], // ECDSA with SHA-1
  ['2a8648ce3d040301', 'sha224'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
])
/** Identifiers of hash algorithms, in the parameters of RSA-PSS; with the same rule. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ['2a864886f70d0205', 'sha256'], // MD5
  ['2b0e03021a', 'sha256'], // SHA-1
  ['608648016503040204', 'sha224'],
  ['608648016503040201', 'sha256'],
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
])

/**
 * The channel bindings `tls-server-end-point` of a connection, to tie a Kerberos token to the server's certificate.
 *
 * @param socket - A connected TLS socket of a client. Node has no certificate for a session that was resumed, nor after
 * `getPeerX509Certificate()`: keep what this function answered, or turn resumption off (`maxCachedSessions: 0` of
 * `https.Agent`).
 * @returns `tls-server-end-point:` and the hash of the server's certificate, for the option `channelBindings`.
 * @throws TypeError where the socket has no certificate of its peer, as before the handshake or in a resumed session.
 * @throws DelegationError `ERR_DELEGATION_PROTOCOL` where none is defined for the certificate: its signature has no hash
 * of its own (Ed25519, Ed448), or one that is not known.
 * @see RFC 5929 section 4.1
 */
export function channelBindingsOf(socket: TLSSocket): Uint8Array {
  // getPeerX509Certificate answers once only: it takes the certificate out of the connection.
  const certificate = socket?.getPeerCertificate?.()?.raw
  if (certificate === undefined)
    throw new TypeError('"socket" must be a connected TLS socket whose peer has shown its certificate')
  const hash = signatureHash(certificate)
  if (hash === undefined)
    throw new DelegationError(
      'ERR_DELEGATION_PROTOCOL',
      'no channel bindings are defined for the certificate of the backend',
      {
        cause: new Error('the algorithm of its signature has no hash of its own, or one that is not known (RFC 5929)'),
      },
    )
  return Buffer.concat([Buffer.from(PREFIX), createHash(hash).update(certificate).digest()])
}

interface Element {
  readonly tag: number
  readonly content: Buffer
  /** What follows it. */
  readonly rest: Buffer
}

/** The hash to take of a certificate. @see RFC 5280 section 4.1.1.2 */
function signatureHash(certificate: Buffer): string | undefined {
  const toBeSigned = element(element(certificate)?.content)
  const algorithm = element(toBeSigned?.rest)
  if (algorithm?.tag !== SEQUENCE) return undefined
  const identifier = objectIdentifier(algorithm.content)
  if (identifier !== RSA_PSS) return SIGNATURES.get(identifier ?? '')
  const parameters = element(element(algorithm.content)?.rest)
  const first = element(parameters?.content)
  // SHA-1 where the parameters don't say, and so SHA-256. @see RFC 4055 section 3.1
  if (first?.tag !== HASH_ALGORITHM) return 'sha256'
  return HASHES.get(objectIdentifier(element(first.content)?.content) ?? '')
}

function objectIdentifier(data: Buffer | undefined): string | undefined {
  const first = element(data)
  return first?.tag === OBJECT_IDENTIFIER ? first.content.toString('hex') : undefined
}

/** The first DER element of `data`; undefined where there is none. */
function element(data: Buffer | undefined): Element | undefined {
  const [tag, short] = data ?? []
  if (data === undefined || tag === undefined || short === undefined) return undefined
  const more = short < 0x80 ? 0 : short & 0x7f
  if (short >= 0x80 && (more === 0 || more > 4 || data.length < 2 + more)) return undefined
  const begin = 2 + more
  const end = begin + (more === 0 ? short : data.readUIntBE(2, more))
  return end > data.length ? undefined : { tag, content: data.subarray(begin, end), rest: data.subarray(end) }
}
