import { DelegationError } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { isRefusal, tokenOf } from './login-answer.ts'
import type { UserLogin } from './login-method.ts'
import { checkMount, checkName } from './login-options.ts'
import { createRefusals } from './refusals.ts'

/** What {@link jwtLogin} takes. */
export interface JwtLoginOptions {
  /** The role of the auth method, whose policies say by templates what is the user's own. */
  readonly role: string
  /** The path of the auth method. Default: `jwt`. */
  readonly mount?: string | undefined
}

/**
 * Logs in as the user, with the token of the session: Vault itself checks whose it is. A session without a token is
 * `ERR_DELEGATION_DENIED`. Vault answers alike for a token that it refuses and for an issuer whose keys it can't fetch: the
 * first 30 seconds of it are `ERR_DELEGATION_UNAVAILABLE`, then `ERR_DELEGATION_PROTOCOL`, and Vault is asked again for the
 * same token after 1 s, 2 s and so on, 15 s at most. The table of that belongs to the module that this is given to.
 * @throws TypeError naming the option that is wrong.
 * @see https://openbao.org/api-docs/auth/jwt/#jwt-login
 */
export function jwtLogin(options: JwtLoginOptions): UserLogin {
  checkKnown(options, ['role', 'mount'], 'jwtLogin')
  const mount = checkMount(options.mount ?? 'jwt')
  const role = checkName(options.role, 'role')
  const refusals = createRefusals()
  return {
    type: 'jwt',
    as: 'user',
    async logIn(session, { post, clock }) {
      if (session.token === undefined)
        throw new DelegationError('ERR_DELEGATION_DENIED', 'the session has no token to log in to Vault with')
      refusals.check(session, clock.now())
      try {
        const auth = tokenOf(await post(`auth/${mount}/login`, { role, jwt: session.token.reveal() }))
        refusals.accepted(session)
        return auth
      } catch (error) {
        if (!isRefusal(error)) throw error
        if (error.status === 400) throw refusals.refused(session, clock.now(), error)
        const message = 'Vault has no such way to log in'
        throw new DelegationError('ERR_DELEGATION_PROTOCOL', message, { cause: error })
      }
    },
  }
}
