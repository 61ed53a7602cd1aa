import type { PasswordCredential } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { mountPath, nameTemplate } from '../paths.ts'
import type { Source } from './source.ts'
import { maxAgeOf } from './source-options.ts'
import { staticRole } from './static-role.ts'

/** What {@link databaseStatic} takes. */
export interface DatabaseStaticOptions {
  /** Where the engine is mounted. Default: `database`. */
  readonly mount?: string | undefined
  /** The user's own static role: it must hold a placeholder, as `{principal}`. */
  readonly role: string
  /** How long a password is used at most until it is read again, in milliseconds. Default: 300,000. */
  readonly maxAge?: number | undefined
}

/**
 * The user's own account at a database, whose password Vault changes from time to time. A role that Vault does not know is
 * `ERR_DELEGATION_DENIED`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/databases#get-static-credentials
 */
export function databaseStatic(options: DatabaseStaticOptions): Source<PasswordCredential> {
  checkKnown(options, ['mount', 'role', 'maxAge'], 'databaseStatic')
  return staticRole({
    type: 'database-static',
    prefix: `${mountPath(options.mount ?? 'database', 'mount')}/static-creds/`,
    role: nameTemplate(options.role, 'role', 'required', 'role'),
    maxAge: maxAgeOf(options.maxAge),
  })
}
