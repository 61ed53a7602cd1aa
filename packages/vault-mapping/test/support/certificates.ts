import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { string, uint32 } from '../../src/openssh/wire.ts'

/** A certificate and its key, both PEM. */
export interface Pem {
  readonly certificate: string
  readonly privateKey: string
}

/** A self-signed certificate by OpenSSL, good for two days. */
export function selfSigned(subject: string): Pem {
  return inFolder((folder) => {
    const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
    const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const files = ['-keyout', key, '-out', certificate]
    execFileSync('openssl', ['req', ...made, ...files, '-days', '2', '-subj', subject], { stdio: 'pipe' })
    return { certificate: readFileSync(certificate, 'utf8'), privateKey: readFileSync(key, 'utf8') }
  })
}

/** What `ssh-keygen` is made to sign. */
export interface SignOptions {
  readonly type?: 'ed25519' | 'rsa' | 'ecdsa'
  readonly principals?: string
  readonly validity?: string
  readonly host?: boolean
}

/** An SSH certificate and its key by OpenSSH's own program, as files hold them. */
export function sshCertificate(options: SignOptions = {}): {
  readonly certificate: string
  readonly privateKey: string
} {
  return inFolder((folder) => {
    keygen('-t', options.type ?? 'ed25519', '-N', '', '-C', 'a comment', '-f', join(folder, 'key'))
    const certificate = signed(folder, readFileSync(join(folder, 'key.pub'), 'utf8'), options)
    return { certificate, privateKey: readFileSync(join(folder, 'key'), 'utf8') }
  })
}

/** A certificate for a public key. */
export function signKey(publicKey: string, options: Omit<SignOptions, 'type'> = {}): string {
  return inFolder((folder) => signed(folder, publicKey, options))
}

function signed(folder: string, publicKey: string, { principals, validity, host = false }: SignOptions): string {
  writeFileSync(join(folder, 'signed.pub'), publicKey)
  keygen('-t', 'ed25519', '-N', '', '-f', join(folder, 'ca'))
  const more = [
    ...(principals === undefined ? [] : ['-n', principals]),
    ...(validity === undefined ? [] : ['-V', validity]),
    ...(host ? ['-h'] : []),
  ]
  keygen('-s', join(folder, 'ca'), '-I', 'the id', ...more, join(folder, 'signed.pub'))
  return readFileSync(join(folder, 'signed-cert.pub'), 'utf8')
}

function keygen(...args: readonly string[]): void {
  execFileSync('ssh-keygen', ['-q', ...args], { stdio: 'pipe' })
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  try {
    return work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The line of an SSH certificate that no program makes: unsigned, with any type and key. */
export function oddSshCertificate(
  outer: string,
  inner: string,
  key: readonly Buffer[],
  principals: readonly string[],
): string {
  const seconds = Math.floor(Date.now() / 1_000)
  const numbers = [0n, BigInt(seconds - 60), BigInt(seconds + 600)].map((number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64BE(number)
    return bytes
  }) as [Buffer, Buffer, Buffer]
  const parts = [
    string(inner),
    string('nonce'),
    ...key.map((field) => string(field)),
    numbers[0],
    uint32(1),
    string('id'),
    string(Buffer.concat(principals.map((name) => string(name)))),
    numbers[1],
    numbers[2],
    ...['', '', '', 'authority', 'signature'].map((text) => string(text)),
  ]
  return `${outer} ${Buffer.concat(parts).toString('base64')}`
}
