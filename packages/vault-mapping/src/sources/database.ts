import type { PasswordCredential } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { mountPath, nameTemplate } from '../paths.ts'
import { dynamicRole } from './dynamic-role.ts'
import type { Source } from './source.ts'

/** What {@link database} takes. */
export interface DatabaseOptions {
  /** Where the engine is mounted. Default: `database`. */
  readonly mount?: string | undefined
  /** The dynamic role: one for all users, or of the user's own as `{principal}-billing`. */
  readonly role: string
}

/**
 * A database user that Vault makes for each issue and drops with its lease. The principal is the name that Vault gave it.
 * A role that Vault does not know is `ERR_DELEGATION_DENIED` where it is the user's own, else `ERR_DELEGATION_PROTOCOL`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/databases#generate-credentials
 */
export function database(options: DatabaseOptions): Source<PasswordCredential> {
  checkKnown(options, ['mount', 'role'], 'database')
  return dynamicRole({
    type: 'database',
    prefix: `${mountPath(options.mount ?? 'database', 'mount')}/creds/`,
    role: nameTemplate(options.role, 'role', 'optional', 'role'),
  })
}
