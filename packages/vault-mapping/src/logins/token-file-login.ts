import { DelegationError, secret, secretReader } from '@mcp-delegation/core'
import { isTokenText } from '../envelope.ts'
import { checkKnown } from '../known-options.ts'
import { VaultError } from '../vault-error.ts'
import { tokenOf } from './login-answer.ts'
import type { OwnLogin } from './login-method.ts'
import { checkFile } from './login-options.ts'

/** What {@link tokenFileLogin} takes. */
export interface TokenFileLoginOptions {
  /** A file that holds a Vault token, and that only this process's user may read, as Vault Agent keeps it. */
  readonly path: string
}

/**
 * Uses the token of a file that somebody else keeps fresh, as Vault Agent does. It is not this server's to revoke; a new
 * one is used as soon as it is there. A file that can't be read, or whose token is dead, is `ERR_DELEGATION_UNAVAILABLE`.
 * @throws TypeError naming the option that is wrong.
 */
export function tokenFileLogin(options: TokenFileLoginOptions): OwnLogin {
  checkKnown(options, ['path'], 'tokenFileLogin')
  const read = secretReader({ file: checkFile(options.path, 'path') }, 'path')
  return {
    type: 'token-file',
    as: 'self',
    owned: false,
    async logIn({ lookUp, signal }) {
      const text = await read({ signal })
      if (!isTokenText(text)) throw stale('the file of the Vault token does not hold one')
      try {
        return tokenOf({ auth: await lookUp(secret(text)) })
      } catch (error) {
        if (!(error instanceof VaultError) || error.status !== 403) throw error
        throw stale('the Vault token of the file is not valid, or may not look itself up', error)
      }
    },
    async isCurrent(token, { signal }) {
      try {
        return (await read({ signal })) === token.reveal()
      } catch {
        signal.throwIfAborted()
        // Nothing better is to be had at the moment.
        return true
      }
    },
  }
}

function stale(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_UNAVAILABLE', message, { cause })
}
