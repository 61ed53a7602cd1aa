import { type PasswordCredential, secret } from '@mcp-delegation/core'
import type { Template } from '../paths.ts'
import { dataOf, leaseIn, nameIn, roleFailure, textIn } from './answers.ts'
import type { Source } from './source.ts'

/** How a dynamic role is asked. */
export interface DynamicRole {
  readonly type: string
  /** All of the path before the role. */
  readonly prefix: string
  readonly role: Template
}

/** An account that Vault makes for each issue, under a name of its own, and removes with its lease. */
export function dynamicRole({ type, prefix, role }: DynamicRole): Source<PasswordCredential> {
  return {
    type,
    leased: true,
    claims: [{ kind: prefix, template: role }],
    async obtain({ who, make }) {
      const envelope = await make(prefix + role.fill(who)).catch((error: unknown) => {
        throw roleFailure(error, role)
      })
      const lease = leaseIn(envelope)
      const data = dataOf(envelope)
      const username = nameIn(data, 'username')
      const value = { kind: 'password', username, password: secret(textIn(data, 'password')) } as const
      return { value: Object.freeze(value), principal: username, expiresAt: lease.expiresAt }
    },
  }
}
