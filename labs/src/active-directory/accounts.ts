/** What can be said about an account, when it is made and later. What is left out stays as it is. */
export interface AccountChanges {
  /** A new password, and so a new key version. */
  readonly password?: string | undefined
  readonly disabled?: boolean | undefined
  /** Locked out after wrong passwords. */
  readonly locked?: boolean | undefined
  /** The account's own end is in the past. */
  readonly expired?: boolean | undefined
  readonly mustChangePassword?: boolean | undefined
  /** "Account is sensitive and cannot be delegated". */
  readonly sensitive?: boolean | undefined
  /** May get tickets to itself for users who did not log in with Kerberos (TRUSTED_TO_AUTH_FOR_DELEGATION). */
  readonly protocolTransition?: boolean | undefined
  /** `null`: none. */
  readonly userPrincipalName?: string | null | undefined
  readonly servicePrincipalNames?: readonly string[] | undefined
  /** The SPNs to which the account may delegate (msDS-AllowedToDelegateTo). */
  readonly delegatesTo?: readonly string[] | undefined
  /** Accounts that may delegate to this one (resource-based; Samba 4.17 stores it and does not enforce it). */
  readonly accepts?: readonly string[] | undefined
  /** Groups that the account becomes a member of. */
  readonly join?: readonly string[] | undefined
  readonly leave?: readonly string[] | undefined
  /** A new sAMAccountName; the UPN, where there is one, follows it. */
  readonly rename?: string | undefined
  readonly deleted?: boolean | undefined
}

/** An account of the lab's domain. */
export interface Account extends AccountChanges {
  /** The sAMAccountName; of a computer, without the `$`. */
  readonly name: string
  readonly kind: 'user' | 'computer' | 'group'
  /** What it is there for, in a few words. */
  readonly what: string
}

/** The passwords of the lab. They protect nothing. */
export const passwords: { readonly user: string; readonly service: string; readonly administrator: string } = {
  user: 'Us3r-Passw0rd!',
  service: 'Svc-Passw0rd-1!',
  administrator: 'Adm1n-Passw0rd!',
}

/** Where `svc-mcp` and `svc-noproto` may delegate to. */
const TARGETS = [
  'HTTP/backend.corp.example',
  'MSSQLSvc/db.corp.example:1433',
  'cifs/files.corp.example',
  'ldap/dc1.corp.example',
  'cifs/dc1.corp.example',
]

const group = (name: string, what: string, changes: AccountChanges = {}): Account => ({
  name,
  kind: 'group',
  what,
  ...changes,
})
const user = (name: string, what: string, changes: AccountChanges = {}): Account => ({
  name,
  kind: 'user',
  what,
  password: passwords.user,
  ...changes,
})
const service = (name: string, what: string, spns: readonly string[], changes: AccountChanges = {}): Account =>
  user(name, what, { password: passwords.service, servicePrincipalNames: spns, ...changes })

/** Twenty users of whom nothing is special: user01 to user20. */
const crowd = Array.from({ length: 20 }, (_, index) => `user${String(index + 1).padStart(2, '0')}`)

/** The accounts of the domain, besides the built-in ones (Administrator, Guest, krbtgt, DC1$). */
export const accounts: readonly Account[] = [
  group('intranet-users', 'an ordinary group, with alice in it'),
  group('ops-admins', 'a group that is in Domain Admins', { join: ['Domain Admins'] }),

  user('alice', 'ordinary; in intranet-users', { join: ['intranet-users'] }),
  user('bob', 'ordinary'),
  user('carol', 'sensitive: cannot be delegated', { sensitive: true }),
  user('dave', 'in Protected Users', { join: ['Protected Users'] }),
  user('erin', 'disabled', { disabled: true }),
  user('frank', 'expired in 2018', { expired: true }),
  user('grace', 'must change the password', { mustChangePassword: true }),
  user('ivan', 'has no UPN', { userPrincipalName: null }),
  user('lola', 'locked out', { locked: true }),
  user('jdoe', 'UPN jane@example.com, which is not the account name', { userPrincipalName: 'jane@example.com' }),
  user('jane', 'has the account name that the UPN of jdoe suggests'),
  user('dora', 'in Domain Admins, without being the built-in administrator', { join: ['Domain Admins'] }),
  user('nora', 'in ops-admins, and by that in Domain Admins', { join: ['ops-admins'] }),
  user('bert', 'in Backup Operators', { join: ['Backup Operators'] }),
  ...crowd.map((name) => user(name, 'ordinary')),

  service('svc-mcp', 'may delegate, with protocol transition', ['HTTP/mcp.corp.example'], {
    protocolTransition: true,
    delegatesTo: TARGETS,
  }),
  service('svc-noproto', 'may delegate, without protocol transition', ['HTTP/noproto.corp.example'], {
    delegatesTo: TARGETS,
    // A UPN equal to the SPN lets it log in under the SPN, and so accept tickets of users as evidence.
    userPrincipalName: 'HTTP/noproto.corp.example@CORP.EXAMPLE',
  }),
  service('svc-nodeleg', 'protocol transition, and an empty delegation list', ['HTTP/nodeleg.corp.example'], {
    protocolTransition: true,
  }),
  service('svc-rbcdfront', 'no list of its own; listed by svc-rbcd', ['HTTP/rbcdfront.corp.example']),
  service('svc-backend', 'a backend that svc-mcp may delegate to', ['HTTP/backend.corp.example']),
  service('svc-db', 'a database that svc-mcp may delegate to', [
    'MSSQLSvc/db.corp.example:1433',
    'MSSQLSvc/db.corp.example',
  ]),
  service('svc-secret', 'a backend that is on no delegation list', ['HTTP/secret.corp.example']),
  service('svc-rbcd', 'a backend that accepts svc-mcp and svc-rbcdfront itself', ['HTTP/rbcd.corp.example'], {
    accepts: ['svc-mcp', 'svc-rbcdfront'],
  }),
  {
    name: 'FILES',
    kind: 'computer',
    what: 'a file server (FILES$) that svc-mcp may delegate to',
    password: passwords.service,
    servicePrincipalNames: ['HOST/files.corp.example', 'HOST/FILES', 'cifs/files.corp.example'],
  },
]

/** The name of one of the lab's keytabs. */
export type KeytabName =
  | 'svc-mcp'
  | 'svc-mcp-spn'
  | 'svc-noproto'
  | 'svc-nodeleg'
  | 'svc-rbcdfront'
  | 'noproto'
  | 'backend'
  | 'db'
  | 'secret'
  | 'rbcd'
  | 'files'
  | 'users'

/** The principals in each of the lab's keytabs. */
export const keytabs: Readonly<Record<KeytabName, readonly string[]>> = {
  'svc-mcp': ['svc-mcp'],
  'svc-mcp-spn': ['svc-mcp', 'HTTP/mcp.corp.example'],
  'svc-noproto': ['svc-noproto'],
  'svc-nodeleg': ['svc-nodeleg'],
  'svc-rbcdfront': ['svc-rbcdfront'],
  noproto: ['HTTP/noproto.corp.example'],
  backend: ['HTTP/backend.corp.example'],
  db: ['MSSQLSvc/db.corp.example:1433'],
  secret: ['HTTP/secret.corp.example'],
  rbcd: ['HTTP/rbcd.corp.example'],
  files: ['cifs/files.corp.example', 'HOST/files.corp.example', 'FILES$'],
  users: ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'ivan', ...crowd],
}
