import { type SecretSource, secretReader } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { createSelfLogin } from './login-answer.ts'
import type { OwnLogin } from './login-method.ts'
import { checkMount, checkName } from './login-options.ts'

/** What {@link appRoleLogin} takes. */
export interface AppRoleLoginOptions {
  readonly roleId: string
  /** Where the secret id is read from, anew for each login: an environment variable, a private file, or a function. */
  readonly secretId: SecretSource
  /** The path of the auth method. Default: `approle`. */
  readonly mount?: string | undefined
}

/**
 * Logs in as this server with an AppRole. A secret id that can't be read is `ERR_DELEGATION_UNAVAILABLE`, one that Vault
 * refuses `ERR_DELEGATION_PROTOCOL`.
 * @throws TypeError naming the option that is wrong.
 * @see https://openbao.org/api-docs/auth/approle/#login-with-approle
 */
export function appRoleLogin(options: AppRoleLoginOptions): OwnLogin {
  checkKnown(options, ['roleId', 'secretId', 'mount'], 'appRoleLogin')
  const mount = checkMount(options.mount ?? 'approle')
  const roleId = checkName(options.roleId, 'roleId')
  const read = secretReader(options.secretId, 'secretId')
  const logIn = createSelfLogin()
  return {
    type: 'approle',
    as: 'self',
    owned: true,
    async logIn({ post, clock, signal }) {
      const secretId = await read({ signal })
      return await logIn(() => post(`auth/${mount}/login`, { role_id: roleId, secret_id: secretId }), clock)
    },
  }
}
