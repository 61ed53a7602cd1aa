import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type CertificateCredential, secret } from '@mcp-delegation/core'

/** PEM texts that belong together. */
export interface CertificateTexts {
  readonly certificate: string
  readonly privateKey: string
  /** Each may hold several certificates. */
  readonly chain: readonly string[]
}

/** A certificate that was looked at, and its key. */
export interface ReadCertificate {
  readonly value: CertificateCredential
  /** Of the subject, where it has exactly one, of clean text. */
  readonly commonName: string | undefined
  /** Milliseconds since the epoch. */
  readonly validUntil: number
}

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
const COMMON_NAME = /^CN=([^\p{C}\p{Zl}\p{Zp}\\]{1,255})$/u

/** The certificate with its key; `undefined` where a text is malformed, or the key is another one's. */
export function readCertificate({ certificate, privateKey, chain }: CertificateTexts): ReadCertificate | undefined {
  try {
    const [own, ...more] = certificate.match(PEM) ?? []
    if (own === undefined) return undefined
    const x509 = new X509Certificate(own)
    if (!x509.checkPrivateKey(createPrivateKey(privateKey))) return undefined
    const issuers = [...more, ...chain.flatMap((text) => text.match(PEM) ?? [])]
    for (const issuer of issuers) new X509Certificate(issuer)
    const value = { kind: 'certificate', certificate: own, privateKey: secret(privateKey), chain: issuers } as const
    const validUntil = Date.parse(x509.validTo)
    if (Number.isNaN(validUntil)) return undefined
    return { value: Object.freeze(value), commonName: commonNameOf(x509), validUntil }
  } catch {
    return undefined
  }
}

function commonNameOf({ subject }: X509Certificate): string | undefined {
  const names = subject.split('\n').filter((line) => line.startsWith('CN='))
  return names.length === 1 ? COMMON_NAME.exec(names[0] as string)?.[1] : undefined
}
