import type { CertificateCredential } from '@mcp-delegation/core'
import { readCertificate } from '../certificates.ts'
import { checkKnown } from '../known-options.ts'
import { mountPath, nameTemplate, type Template, textTemplate } from '../paths.ts'
import { type Data, dataOf, denied, hasStatus, protocol, textIn } from './answers.ts'
import type { Source } from './source.ts'
import { ttlOf } from './source-options.ts'

/** What {@link pki} takes. Each name is a template with one placeholder; the role must allow what comes of it. */
export interface PkiOptions {
  /** Where the engine is mounted. Default: `pki`. */
  readonly mount?: string | undefined
  /** The role that issues: one for all users, or of the user's own. */
  readonly role: string
  /** The subject's common name: `{principal}`, `{principal}@corp.example`. */
  readonly commonName: string
  /** Alternative names, DNS names or mail addresses. Default: none but what the role makes of the common name. */
  readonly altNames?: readonly string[] | undefined
  /** Alternative names that are URIs: `spiffe://corp.example/user/{principal}`. Default: none. */
  readonly uriSans?: readonly string[] | undefined
  /** How long a certificate is good, in milliseconds; a role cuts it to what it allows. Default: the role's. */
  readonly ttl?: number | undefined
}

const COMMON_NAME = /^[A-Za-z0-9._@:=~ -]*$/
const ALT_NAME = /^[A-Za-z0-9._@-]*$/
const URI = /^[A-Za-z0-9._@:=~/-]*$/

/**
 * A client certificate in the name of the user, with its key, which Vault makes. A role that Vault does not know, or that
 * refuses one of the names, is `ERR_DELEGATION_DENIED`. It has a lease where the role generates one.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/pki#generate-certificate-and-key
 */
export function pki(options: PkiOptions): Source<CertificateCredential> {
  checkKnown(options, ['mount', 'role', 'commonName', 'altNames', 'uriSans', 'ttl'], 'pki')
  const mount = mountPath(options.mount ?? 'pki', 'mount')
  const role = nameTemplate(options.role, 'role', 'optional', 'role')
  const commonName = textTemplate(options.commonName, 'commonName', COMMON_NAME)
  const altNames = templatesOf(options.altNames, 'altNames', ALT_NAME)
  const uriSans = templatesOf(options.uriSans, 'uriSans', URI)
  const ttl = ttlOf(options.ttl)
  return {
    type: 'pki',
    leased: false,
    claims: [
      { kind: `${mount}/issue/`, template: role },
      { kind: `common names of ${mount}`, template: commonName },
      ...altNames.map((template) => ({ kind: `alternative names of ${mount}`, template })),
      ...uriSans.map((template) => ({ kind: `URIs of ${mount}`, template })),
    ],
    async obtain({ who, clock, make }) {
      const name = commonName.fill(who)
      const listed = (templates: readonly Template[]): string => templates.map(({ fill }) => fill(who)).join(',')
      const body = {
        common_name: name,
        ...(altNames.length === 0 ? {} : { alt_names: listed(altNames) }),
        ...(uriSans.length === 0 ? {} : { uri_sans: listed(uriSans) }),
        ...(ttl === undefined ? {} : { ttl }),
      }
      const envelope = await make(`${mount}/issue/${role.fill(who)}`, body).catch((error: unknown) => {
        throw hasStatus(error, 400) ? denied('the role issues no certificate for the caller', error) : error
      })
      const data = dataOf(envelope)
      const issued = readCertificate({
        certificate: textIn(data, 'certificate'),
        privateKey: textIn(data, 'private_key'),
        chain: chainIn(data),
      })
      if (issued === undefined || issued.commonName !== name)
        throw protocol('Vault issued another certificate than it was asked for')
      if (issued.validUntil <= clock.now()) throw protocol('Vault issued a certificate that has ended')
      return { value: issued.value, principal: name, expiresAt: issued.validUntil }
    },
  }
}

function templatesOf(given: unknown, option: string, allowed: RegExp): readonly Template[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw new TypeError(`"${option}" must be a list of names`)
  return given.map((name, index) => textTemplate(name, `${option}[${index}]`, allowed))
}

/** The issuers: the whole chain where the answer has it, else the nearest. */
function chainIn(data: Data): readonly string[] {
  const { ca_chain: chain } = data
  if (Array.isArray(chain) && chain.length > 0 && chain.every((text) => typeof text === 'string')) return chain
  return [textIn(data, 'issuing_ca')]
}
