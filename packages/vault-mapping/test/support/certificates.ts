import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate and its key, both PEM. */
export interface Pem {
  readonly certificate: string
  readonly privateKey: string
}

/** A self-signed certificate by OpenSSL, good for some days from now; a negative number of them is in the past. */
export function selfSigned(subject: string, days = 2): Pem {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
  try {
    const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const files = ['-keyout', key, '-out', certificate]
    execFileSync('openssl', ['req', ...made, ...files, '-days', String(days), '-subj', subject], { stdio: 'pipe' })
    return { certificate: readFileSync(certificate, 'utf8'), privateKey: readFileSync(key, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
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
  const { type = 'ed25519', principals, validity, host = false } = options
  const folder = mkdtempSync(join(tmpdir(), 'ssh-'))
  const keygen = (...args: string[]): unknown => execFileSync('ssh-keygen', ['-q', ...args], { stdio: 'pipe' })
  try {
    keygen('-t', 'ed25519', '-N', '', '-f', join(folder, 'ca'))
    keygen('-t', type, '-N', '', '-C', 'a comment', '-f', join(folder, 'key'))
    const more = [
      ...(principals === undefined ? [] : ['-n', principals]),
      ...(validity === undefined ? [] : ['-V', validity]),
      ...(host ? ['-h'] : []),
    ]
    keygen('-s', join(folder, 'ca'), '-I', 'the id', ...more, join(folder, 'key.pub'))
    return {
      certificate: readFileSync(join(folder, 'key-cert.pub'), 'utf8'),
      privateKey: readFileSync(join(folder, 'key'), 'utf8'),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
