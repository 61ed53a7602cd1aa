import type { PasswordCredential } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { mountPath, nameTemplate } from '../paths.ts'
import { dynamicRole } from './dynamic-role.ts'
import type { Source } from './source.ts'

/** What {@link ldapDynamic} takes. */
export interface LdapDynamicOptions {
  /** Where the engine is mounted. Default: `ldap`. */
  readonly mount?: string | undefined
  /** The dynamic role, in lower case: one for all users, or of the user's own as `{principal}-admin`. */
  readonly role: string
}

/**
 * An account in a directory that Vault makes for each issue and deletes with its lease. The principal is the name that
 * Vault gave it. A role that Vault does not know is `ERR_DELEGATION_DENIED` where it is the user's own, else
 * `ERR_DELEGATION_PROTOCOL`; a principal with capitals in it is denied, since the engine takes `Alice` for `alice`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/ldap#generate-credentials
 */
export function ldapDynamic(options: LdapDynamicOptions): Source<PasswordCredential> {
  checkKnown(options, ['mount', 'role'], 'ldapDynamic')
  return dynamicRole({
    type: 'ldap-dynamic',
    prefix: `${mountPath(options.mount ?? 'ldap', 'mount')}/creds/`,
    role: nameTemplate(options.role, 'role', 'optional', 'ldap-role'),
  })
}
