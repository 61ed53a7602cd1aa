import { type PasswordCredential, secret } from '@mcp-delegation/core'
import type { Template } from '../paths.ts'
import { dataOf, nameIn, roleFailure, secondsIn, textIn } from './answers.ts'
import type { Source } from './source.ts'

/** How a static role is read. */
export interface StaticRole {
  readonly type: string
  /** All of the path before the role. */
  readonly prefix: string
  readonly role: Template
  readonly maxAge: number
}

/** How long after its end a rotation is done, in milliseconds: the rule of Vault's own clients. */
const ROTATION = 1_000

/**
 * The password of an account that exists, which Vault changes from time to time. The server names the time that is left in
 * whole seconds; it says 0 for as long as it has not changed the password, which is good until then: it is handed out for
 * a second.
 */
export function staticRole({ type, prefix, role, maxAge }: StaticRole): Source<PasswordCredential> {
  return {
    type,
    leased: false,
    claims: [{ kind: prefix, template: role }],
    async obtain({ who, read }) {
      const envelope = await read(prefix + role.fill(who)).catch((error: unknown) => {
        throw roleFailure(error, role)
      })
      const data = dataOf(envelope)
      const username = nameIn(data, 'username')
      const value = { kind: 'password', username, password: secret(textIn(data, 'password')) } as const
      const expiresAt = envelope.sentAt + Math.min(secondsIn(data, 'ttl') + ROTATION, maxAge)
      return { value: Object.freeze(value), principal: username, expiresAt }
    },
  }
}
