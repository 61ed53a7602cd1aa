import { type AuditSink, DelegationRegistry, firstMapped, type Session } from '@mcp-delegation/core'
import { serviceAccount, userAccounts } from '@mcp-delegation/service-account'

const personal = userAccounts({
  accounts: [
    {
      issuer: 'https://idp.example',
      subject: 'f7a1',
      target: 'billing',
      username: 'alice',
      password: { env: 'BILLING_PASSWORD_ALICE' },
    },
  ],
})

const shared = serviceAccount({
  accounts: {
    billing: {
      levels: {
        reader: { username: 'billing_ro', password: { env: 'BILLING_PASSWORD_READER' } },
        administrator: { username: 'billing_admin', password: { env: 'BILLING_PASSWORD_ADMINISTRATOR' } },
      },
    },
  },
  level: ({ groups }) => (groups.has('billing-admins') ? 'administrator' : 'reader'),
  allow: ({ groups }) => groups.has('billing'),
})

const modules = { billing: firstMapped(personal, shared) }

export function openRegistry(audit: AuditSink) {
  return new DelegationRegistry({ modules, audit, policy: 'backend-decides' })
}

export async function loginOf(session: Session, { delegate }: ReturnType<typeof openRegistry>): Promise<string> {
  await using login = await delegate('billing', session, { target: 'billing' })
  const { username, password } = login.value
  return `${username}:${password.reveal()}`
}
