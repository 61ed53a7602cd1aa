import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { DelegationError, type SecretSource, secret, secretReader } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import type { ClientCertificate } from '../vault-client.ts'
import { createSelfLogin } from './login-answer.ts'
import type { OwnLogin } from './login-method.ts'
import { checkFile, checkMount, checkName } from './login-options.ts'

/** What {@link certificateLogin} takes. */
export interface CertificateLoginOptions {
  /** The PEM file of the certificate, with its chain where it has one; read anew for each login. */
  readonly certificate: string
  /** Its private key in PEM: an environment variable, a private file, or a function; read anew for each login. */
  readonly privateKey: SecretSource
  /** The role of the auth method. Default: any that fits the certificate. */
  readonly name?: string | undefined
  /** The path of the auth method. Default: `cert`. */
  readonly mount?: string | undefined
}

/**
 * Logs in as this server with a certificate that all its connections to Vault show. A certificate or key that can't be
 * read, or that do not belong together, are `ERR_DELEGATION_UNAVAILABLE`; what Vault refuses is `ERR_DELEGATION_PROTOCOL`.
 * @throws TypeError naming the option that is wrong.
 * @see https://openbao.org/api-docs/auth/cert/#login-with-tls-certificate-method
 */
export function certificateLogin(options: CertificateLoginOptions): OwnLogin {
  checkKnown(options, ['certificate', 'privateKey', 'name', 'mount'], 'certificateLogin')
  const mount = checkMount(options.mount ?? 'cert')
  const path = checkFile(options.certificate, 'certificate')
  const readKey = secretReader(options.privateKey, 'privateKey')
  const body = options.name === undefined ? {} : { name: checkName(options.name, 'name') }
  const logIn = createSelfLogin()
  return {
    type: 'cert',
    as: 'self',
    owned: true,
    async logIn({ post, present, clock, signal }) {
      present(await readPair(path, await readKey({ signal })))
      signal.throwIfAborted()
      return await logIn(() => post(`auth/${mount}/login`, body), clock)
    },
  }
}

async function readPair(path: string, privateKey: string): Promise<ClientCertificate> {
  try {
    const certificate = await readFile(path, 'utf8')
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey)))
      throw new Error(`the private key is not that of ${path}: one of them may just have been replaced`)
    return { certificate, privateKey: secret(privateKey) }
  } catch (cause) {
    const message = 'the certificate to log in to Vault with could not be read'
    throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', message, { cause })
  }
}
