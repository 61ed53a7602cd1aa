import { type AuditRecord, DelegationRegistry, type Session } from '@mcp-delegation/core'
import { memoryAudit, testSession } from '@mcp-delegation/core/testing'
import { type KerberosDelegationOptions, KerberosError, kerberosDelegation } from '@mcp-delegation/kerberos'
import { type ActiveDirectory, isAvailable, missing } from '@mcp-delegation/labs/active-directory'
import { afterEach, test as anywhere, type TestAPI } from 'vitest'

/** A test that needs the domain. */
export const test: TestAPI = anywhere.runIf(isAvailable('the Active Directory lab', missing())) as TestAPI

export const ISSUER = 'https://idp.example'
export const BACKEND = 'HTTP/backend.corp.example'
const TARGETS = [
  BACKEND,
  'HTTP/secret.corp.example',
  'HTTP/nowhere.corp.example',
  'MSSQLSvc/db.corp.example:1433',
  'cifs/files.corp.example',
]

/** Options for the lab's `svc-mcp`, whose users are mapped by subject. */
export function optionsFor(
  lab: Pick<ActiveDirectory, 'kdc' | 'keytab'>,
  options: Partial<KerberosDelegationOptions> = {},
): KerberosDelegationOptions {
  return {
    realm: 'CORP.EXAMPLE',
    kdc: lab.kdc,
    serviceAccount: { username: 'svc-mcp', keytabPath: lab.keytab('svc-mcp') },
    allowedDelegationTargets: TARGETS,
    principal: { issuers: [{ issuer: ISSUER, principal: (session) => session.subject }] },
    ...options,
  }
}

/** A registry with one Kerberos module, and what it wrote to audit. */
export function intranet(
  lab: Pick<ActiveDirectory, 'kdc' | 'keytab'>,
  options: Partial<KerberosDelegationOptions> = {},
) {
  const audit = memoryAudit()
  const registry = new DelegationRegistry({
    policy: 'backend-decides',
    audit,
    modules: { intranet: kerberosDelegation(optionsFor(lab, options)) },
  })
  return { registry, audit, ask: asking(registry) }
}

export type Intranet = ReturnType<typeof intranet>

/** As {@link intranet}, for the tests of a file: each registry is disposed after the test that made it. */
export function disposing(): typeof intranet {
  const opened: Intranet[] = []
  afterEach(async () => {
    for (const { registry } of opened.splice(0)) await registry[Symbol.asyncDispose]()
  })
  return (...args) => {
    const made = intranet(...args)
    opened.push(made)
    return made
  }
}

function asking(registry: DelegationRegistry<{ intranet: ReturnType<typeof kerberosDelegation> }>) {
  return (who: string | Session, targetService: string = BACKEND) =>
    registry.delegate('intranet', typeof who === 'string' ? session(who) : who, { targetService })
}

const sessions = new Map<string, Session>()

/** The session of a user; the same one each time. */
export function session(subject: string): Session {
  const known = sessions.get(subject)
  if (known !== undefined) return known
  const made = testSession({ issuer: ISSUER, subject })
  sessions.set(subject, made)
  return made
}

/** What an attempt was refused with: the code, and the reason that the operator reads. */
export async function refusalOf(attempt: Promise<unknown>): Promise<{
  readonly code: string
  readonly reason: string | undefined
  readonly remedy: string | undefined
  readonly message: string
}> {
  try {
    await attempt
  } catch (error) {
    const { code, cause, message } = error as { code: string; cause?: unknown; message: string }
    const known = cause instanceof KerberosError ? cause : undefined
    return { code, reason: known?.reason, remedy: known?.remedy, message }
  }
  throw new Error('nothing was refused')
}

/** Whom Apache sees. */
export async function seenBy(origin: string, authorization: string): Promise<string> {
  const response = await fetch(origin, { headers: { authorization } })
  const body = (await response.text()).trim()
  return response.status === 200 ? body : `${response.status}`
}

export function delegations(records: readonly AuditRecord[]) {
  return records.filter(({ event }) => event === 'delegation')
}
