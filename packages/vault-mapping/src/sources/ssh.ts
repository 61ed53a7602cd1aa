import type { SshCertificateCredential } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { readSshCertificate } from '../openssh/certificate.ts'
import { KEY_TYPE, type SshKeyPair, sshKeyPair } from '../openssh/key-pair.ts'
import { mountPath, nameTemplate } from '../paths.ts'
import { dataOf, denied, hasStatus, protocol, textIn } from './answers.ts'
import type { Source } from './source.ts'
import { ttlOf } from './source-options.ts'

/** What {@link ssh} takes. */
export interface SshOptions {
  /** Where the engine is mounted. Default: `ssh`. */
  readonly mount?: string | undefined
  /** The role that signs: one for all users, or of the user's own. */
  readonly role: string
  /**
   * Whom certificates are for: first the account to log in as, which must hold a placeholder, as `{principal}`; then what
   * else hosts may know the user by. The role must allow each of them.
   */
  readonly principals: readonly string[]
  /** How long a certificate is good, in milliseconds; a role refuses more than it allows. Default: the role's. */
  readonly ttl?: number | undefined
}

/**
 * An SSH certificate for a new Ed25519 key, which never leaves this process. A role that Vault does not know, or that
 * refuses one of the principals, is `ERR_DELEGATION_DENIED`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/ssh#sign-ssh-key
 */
export function ssh(options: SshOptions): Source<SshCertificateCredential> {
  checkKnown(options, ['mount', 'role', 'principals', 'ttl'], 'ssh')
  const mount = mountPath(options.mount ?? 'ssh', 'mount')
  const role = nameTemplate(options.role, 'role', 'optional', 'ssh-role')
  if (!Array.isArray(options.principals) || options.principals.length === 0)
    throw new TypeError('"principals" must be a list of names')
  const templates = options.principals.map((name, index) =>
    nameTemplate(name, `principals[${index}]`, index === 0 ? 'required' : 'optional', 'kv'),
  )
  const ttl = ttlOf(options.ttl)
  return {
    type: 'ssh',
    leased: false,
    claims: [
      { kind: `${mount}/sign/`, template: role },
      ...templates.map((template) => ({ kind: `principals of ${mount}`, template })),
    ],
    async obtain({ who, clock, make }) {
      const path = `${mount}/sign/${role.fill(who)}`
      const principals = [...new Set(templates.map((template) => template.fill(who)))]
      const username = principals[0] as string
      const keys = await sshKeyPair()
      const asked = { public_key: keys.publicKey, valid_principals: principals.join(','), cert_type: 'user' }
      const envelope = await make(path, ttl === undefined ? asked : { ...asked, ttl }).catch((error: unknown) => {
        throw hasStatus(error, 400) ? denied('the role signs no SSH certificate for the caller', error) : error
      })
      const certificate = textIn(dataOf(envelope), 'signed_key').trim()
      const validUntil = endOf(certificate, keys, principals)
      if (validUntil === undefined) throw protocol('Vault signed another SSH certificate than it was asked for')
      if (validUntil <= clock.now()) throw protocol('Vault signed an SSH certificate that has ended')
      const value = { kind: 'ssh-certificate', username, certificate, privateKey: keys.privateKey } as const
      return { value: Object.freeze(value), principal: username, expiresAt: validUntil }
    },
  }
}

/** When a certificate for these keys and principals ends; `undefined` where it is for any other. */
function endOf(line: string, { publicBytes }: SshKeyPair, principals: readonly string[]): number | undefined {
  const certificate = readSshCertificate(line)
  if (certificate?.type !== 'user' || certificate.keyType !== KEY_TYPE) return undefined
  if (certificate.publicKey[0]?.equals(publicBytes) !== true) return undefined
  const [got, wanted] = [certificate.principals, principals].map((names) => JSON.stringify([...names].sort()))
  return got === wanted ? certificate.validUntil : undefined
}
