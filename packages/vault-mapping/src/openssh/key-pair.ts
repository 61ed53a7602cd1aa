import { generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { type Secret, secret } from '@mcp-delegation/core'
import { string, uint32 } from './wire.ts'

/** An Ed25519 key pair in OpenSSH's formats. */
export interface SshKeyPair {
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicKey: string
  /** The 32 bytes of the public key. */
  readonly publicBytes: Buffer
  /** The text of a private key file, without a passphrase. */
  readonly privateKey: Secret<string>
}

export const KEY_TYPE = 'ssh-ed25519'

const generate = promisify(generateKeyPair)
const BLOCK = 8
const LINE = 70

/**
 * Makes a new key pair.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 * @see https://www.rfc-editor.org/rfc/rfc8709#section-4
 */
export async function sshKeyPair(): Promise<SshKeyPair> {
  const jwk = (await generate('ed25519')).privateKey.export({ format: 'jwk' })
  const [seed, publicBytes] = [jwk.d, jwk.x].map((part) => Buffer.from(part as string, 'base64url')) as [Buffer, Buffer]
  const blob = Buffer.concat([string(KEY_TYPE), string(publicBytes)])
  const check = randomBytes(4)
  const keys = [check, check, blob, string(Buffer.concat([seed, publicBytes])), string('')]
  const length = keys.reduce((sum, part) => sum + part.length, 0)
  const padding = Buffer.from(Array.from({ length: (BLOCK - (length % BLOCK)) % BLOCK }, (_, index) => index + 1))
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map((text) => string(text)),
    uint32(1),
    string(blob),
    string(Buffer.concat([...keys, padding])),
  ])
  const lines = file.toString('base64').match(new RegExp(`.{1,${LINE}}`, 'g')) ?? []
  const frame = (word: string): string => `-----${word} OPENSSH PRIVATE KEY-----`
  return {
    publicKey: `${KEY_TYPE} ${blob.toString('base64')}`,
    publicBytes,
    privateKey: secret(`${[frame('BEGIN'), ...lines, frame('END')].join('\n')}\n`),
  }
}
