import { WireReader } from './wire.ts'

/** What an SSH certificate says. */
export interface SshCertificate {
  /** Of the certified key: `ssh-ed25519`. */
  readonly keyType: string
  /** The public key's own fields, in turn: for Ed25519 one of 32 bytes. */
  readonly publicKey: readonly Buffer[]
  readonly type: 'user' | 'host'
  readonly keyId: string
  /** Whom it is for; empty for everybody. */
  readonly principals: readonly string[]
  /** Milliseconds since the epoch. */
  readonly validFrom: number
  /** Milliseconds since the epoch; the last instant that a `Date` can hold for one that never ends. */
  readonly validUntil: number
}

/** By the type of a certificate: how many fields its public key has. */
const KEY_FIELDS: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519': 2,
  'sk-ecdsa-sha2-nistp256': 3,
}
const SUFFIX = '-cert-v01@openssh.com'
const LINE = /^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?\n?$/
const TYPES: readonly (SshCertificate['type'] | undefined)[] = [undefined, 'user', 'host']
const LAST_INSTANT = 8_640_000_000_000_000

/**
 * Reads a certificate, a line `ssh-…-cert-v01@openssh.com AAAA…`; `undefined` where it is none. Its signature is not
 * checked: that is for the server that it is shown to.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.certkeys
 */
export function readSshCertificate(line: string): SshCertificate | undefined {
  const [, type = '', encoded = ''] = LINE.exec(line) ?? []
  const keyType = type.endsWith(SUFFIX) ? type.slice(0, -SUFFIX.length) : ''
  if (!Object.hasOwn(KEY_FIELDS, keyType)) return undefined
  try {
    return parse(new WireReader(Buffer.from(encoded, 'base64')), keyType)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function parse(reader: WireReader, keyType: string): SshCertificate | undefined {
  if (reader.string().toString() !== keyType + SUFFIX) return undefined
  reader.string() // nonce
  const publicKey = Array.from({ length: KEY_FIELDS[keyType] as number }, () => reader.string())
  reader.uint64() // serial
  const type = TYPES[reader.uint32()]
  const keyId = reader.string().toString()
  const principals = textsIn(reader.string())
  const [validFrom, validUntil] = [instant(reader.uint64()), instant(reader.uint64())]
  // Critical options, extensions, a reserved field, the authority's key, the signature.
  for (let field = 0; field < 5; field++) reader.string()
  if (type === undefined || !reader.isAtEnd) return undefined
  return { keyType, publicKey, type, keyId, principals, validFrom, validUntil }
}

function textsIn(bytes: Buffer): readonly string[] {
  const reader = new WireReader(bytes)
  const texts: string[] = []
  while (!reader.isAtEnd) texts.push(reader.string().toString())
  return texts
}

function instant(seconds: bigint): number {
  return Math.min(Number(seconds) * 1_000, LAST_INSTANT)
}
