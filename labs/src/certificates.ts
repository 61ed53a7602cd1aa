import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './programs.ts'

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc']

/** Makes a certificate authority in `folder`: `<name>.pem` and `<name>.key`. */
export async function authority(folder: string, name: string): Promise<KeyPair> {
  const pair = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
  const extensions = [
    '-addext',
    'basicConstraints=critical,CA:true',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]
  const files = ['-keyout', pair.key, '-out', pair.certificate]
  await openssl(['req', '-x509', ...EC, '-days', '2', '-subj', `/CN=${name}`, ...extensions, ...files])
  return pair
}

/** What a certificate is for: a server at an address, or a client. */
export type Purpose = { readonly address: string } | 'client'

/** Has `ca` certify a new key for `commonName`: `<name>.pem` and `<name>.key` in `folder`. */
export async function certify(
  ca: KeyPair,
  { folder, name, commonName, purpose }: { folder: string; name: string; commonName: string; purpose: Purpose },
): Promise<KeyPair> {
  const pair = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)]
  writeFileSync(
    extensions,
    purpose === 'client'
      ? `extendedKeyUsage=clientAuth\nsubjectAltName=DNS:${commonName}\n`
      : `extendedKeyUsage=serverAuth\nsubjectAltName=IP:${purpose.address}\n`,
  )
  await openssl(['req', ...EC, '-subj', `/CN=${commonName}`, '-keyout', pair.key, '-out', request])
  const issuer = ['-CA', ca.certificate, '-CAkey', ca.key, '-days', '2', '-extfile', extensions]
  await openssl(['x509', '-req', '-in', request, ...issuer, '-out', pair.certificate])
  for (const path of [request, extensions]) rmSync(path)
  return pair
}

async function openssl(args: readonly string[]): Promise<void> {
  const { status, stderr } = await run(['openssl', ...args])
  if (status !== 0) throw new Error(`no certificate: ${stderr.trim()}`)
}
