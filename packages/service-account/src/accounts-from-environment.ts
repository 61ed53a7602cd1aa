import type { Identity } from '@mcp-delegation/core'
import { isName } from './account.ts'
import type { UserAccount } from './user-accounts.ts'

/** What {@link accountsFromEnvironment} takes. */
export interface EnvironmentAccountsOptions {
  /** The target that the accounts are for. */
  readonly target: string
  /** What the names of the variables begin with: capital letters, digits and `_`. */
  readonly prefix: string
  /** Who has an account, and under which name. */
  readonly users: readonly (Identity & { readonly username: string })[]
}

/**
 * Entries for {@link userAccounts}, with the password of each user in an environment variable: for development. The
 * variable of `ann.lee` with the prefix `VCENTER_PASSWORD_` is `VCENTER_PASSWORD_ANN_LEE`: everything but ASCII letters
 * and digits becomes `_`.
 * @throws TypeError naming the option that is wrong, and where two user names have one variable.
 */
export function accountsFromEnvironment(options: EnvironmentAccountsOptions): readonly UserAccount[] {
  const { target, prefix, users } = options ?? {}
  if (!isName(target)) throw new TypeError('"target" must be 1 to 255 bytes of clean text')
  if (typeof prefix !== 'string' || !/^[A-Z][A-Z0-9_]*$/.test(prefix))
    throw new TypeError('"prefix" must be capital letters, digits and "_"')
  if (!Array.isArray(users)) throw new TypeError('"users" must be a list of users')
  const owners = new Map<string, string>()
  return (users as EnvironmentAccountsOptions['users']).map((user, index) => {
    if (!isName(user?.username)) throw new TypeError(`"users[${index}].username" must be 1 to 255 bytes of clean text`)
    const { issuer, subject, username } = user
    const env = prefix + username.replace(/[^A-Za-z0-9]/g, '_').toUpperCase()
    const owner = owners.get(env)
    if (owner !== undefined && owner !== username)
      throw new TypeError(`"users[${index}].username" has the variable ${env}, as another user has`)
    owners.set(env, username)
    return { issuer, subject, target, username, password: { env } }
  })
}
