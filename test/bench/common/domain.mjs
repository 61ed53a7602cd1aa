import { DelegationRegistry } from '@mcp-delegation/core'
import { kerberosDelegation } from '@mcp-delegation/kerberos'
import { activeDirectory } from '@mcp-delegation/labs/active-directory'
import { createEngine } from '../../../packages/kerberos-delegation/dist/engine/create-engine.js'
import { profileText } from '../../../packages/kerberos-delegation/dist/profile.js'
import { ring } from './ring.mjs'
import { ISSUER } from './user.mjs'

const REALM = 'CORP.EXAMPLE'
export const ACCOUNT = 'svc-mcp'
/** Where the account may delegate to, by the domain's list. */
export const TARGETS = [
  'HTTP/backend.corp.example',
  'MSSQLSvc/db.corp.example:1433',
  'cifs/files.corp.example',
  'ldap/dc1.corp.example',
  'cifs/dc1.corp.example',
]
/** Accounts of whom nothing is special. */
export const USERS = Array.from({ length: 20 }, (_, index) => `user${String(index + 1).padStart(2, '0')}`)

export const principalOf = (name) => `${name}@${REALM}`

/** Runs `work` with an Active Directory domain of its own, and ends that, whatever happens. */
export async function withDomain(work) {
  const lab = await activeDirectory()
  try {
    return await work(lab)
  } finally {
    await lab.dispose()
  }
}

/** A registry whose module `intranet` delegates in the domain. */
export function registryFor(lab, { cache, limits, ...options } = {}) {
  const records = ring()
  return new DelegationRegistry({
    modules: {
      intranet: kerberosDelegation({
        realm: REALM,
        kdc: lab.kdc,
        serviceAccount: { username: ACCOUNT, keytabPath: lab.keytab(ACCOUNT) },
        allowedDelegationTargets: TARGETS,
        allowExport: [TARGETS[0]],
        principal: { issuers: [{ issuer: ISSUER, claim: 'sub' }] },
        ...options,
      }),
    },
    audit: (record) => records.add(record),
    policy: 'backend-decides',
    ...(cache && { cache }),
    ...(limits && { limits }),
  })
}

/** The engine alone, as the module makes it; `command` is another program for the helper process. */
export function engineFor(lab, { command } = {}) {
  const silent = { debug() {}, info() {}, warn() {}, error() {} }
  const options = {
    principal: principalOf(ACCOUNT),
    keytabPath: lab.keytab(ACCOUNT),
    rules: { pac: 'required', deny: [], requireGroupSid: [] },
    maxConcurrent: 8,
    profile: profileText({ realm: REALM, kdc: lab.kdc, ticketLifetime: 3_600_000 }),
    deadline: 3_000,
    probeInterval: 5_000,
    log: silent,
  }
  return command === undefined ? createEngine(options) : createEngine(options, command)
}

/** What the engine is asked for a ticket of `user` to `target`. */
export function orderOf(user, target) {
  return { user: { name: principalOf(user), enterprise: false, realm: REALM }, service: principalOf(target) }
}
