import { type PasswordCredential, secret } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { mountPath, nameTemplate } from '../paths.ts'
import { dataOf, hasStatus, leaseIn, nameIn, roleFailure, textIn, unavailable } from './answers.ts'
import type { Source } from './source.ts'
import { ttlOf } from './source-options.ts'

/** What {@link ldapLibrary} takes. */
export interface LdapLibraryOptions {
  /** Where the engine is mounted. Default: `ldap`. */
  readonly mount?: string | undefined
  /** The set of accounts, in lower case: one for all users, or of the user's own. */
  readonly set: string
  /** How long an account is lent, in milliseconds; a set cuts it to what it allows. Default: the set's. */
  readonly ttl?: number | undefined
}

/**
 * An account of a set that Vault lends to one user at a time; its password changes when it comes back. The principal is the
 * account's name. It is checked in by the end of its lease and by nothing else: after a check-in of its own, the lease would
 * still be there, and its end would take the account from whoever has it next. `ERR_DELEGATION_UNAVAILABLE` where all
 * accounts are lent, which is told from an unknown set by `<mount>/library/<set>/status`: the policy should let it be read,
 * or else an unknown set looks the same.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/ldap#check-out-management
 */
export function ldapLibrary(options: LdapLibraryOptions): Source<PasswordCredential> {
  checkKnown(options, ['mount', 'set', 'ttl'], 'ldapLibrary')
  const mount = mountPath(options.mount ?? 'ldap', 'mount')
  const set = nameTemplate(options.set, 'set', 'optional', 'ldap-role')
  const ttl = ttlOf(options.ttl)
  return {
    type: 'ldap-library',
    leased: true,
    claims: [{ kind: `${mount}/library/`, template: set }],
    async obtain({ who, make, read }) {
      const library = `${mount}/library/${set.fill(who)}`
      const body = ttl === undefined ? {} : { ttl }
      const envelope = await make(`${library}/check-out`, body).catch(async (error: unknown) => {
        if (!hasStatus(error, 400)) throw roleFailure(error, set)
        const unknown = await read(`${library}/status`).then(
          () => false,
          (unread: unknown) => hasStatus(unread, 400),
        )
        if (unknown) throw roleFailure(error, set)
        throw unavailable('all accounts of the set are lent', error)
      })
      const lease = leaseIn(envelope)
      const data = dataOf(envelope)
      const username = nameIn(data, 'service_account_name')
      const value = { kind: 'password', username, password: secret(textIn(data, 'password')) } as const
      return { value: Object.freeze(value), principal: username, expiresAt: lease.expiresAt }
    },
  }
}
