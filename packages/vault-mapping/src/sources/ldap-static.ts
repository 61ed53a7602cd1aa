import type { PasswordCredential } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { mountPath, nameTemplate } from '../paths.ts'
import type { Source } from './source.ts'
import { maxAgeOf } from './source-options.ts'
import { staticRole } from './static-role.ts'

/** What {@link ldapStatic} takes. */
export interface LdapStaticOptions {
  /** Where the engine is mounted. Default: `ldap`. */
  readonly mount?: string | undefined
  /** The user's own static role: it must hold a placeholder, as `{principal}`. */
  readonly role: string
  /** How long a password is used at most until it is read again, in milliseconds. Default: 300,000. */
  readonly maxAge?: number | undefined
}

/**
 * The user's own account in a directory, whose password Vault changes from time to time. A role that Vault does not know
 * is `ERR_DELEGATION_DENIED`; so is a principal with capitals, since the engine takes `Alice` for `alice`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/ldap#static-role-passwords
 */
export function ldapStatic(options: LdapStaticOptions): Source<PasswordCredential> {
  checkKnown(options, ['mount', 'role', 'maxAge'], 'ldapStatic')
  return staticRole({
    type: 'ldap-static',
    prefix: `${mountPath(options.mount ?? 'ldap', 'mount')}/static-cred/`,
    role: nameTemplate(options.role, 'role', 'required', 'ldap-role'),
    maxAge: maxAgeOf(options.maxAge),
  })
}
