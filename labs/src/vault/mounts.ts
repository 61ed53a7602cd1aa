/** Where the lab's auth methods and secret engines are, without slashes at their ends. */
export interface Mounts {
  readonly jwt: string
  readonly appRole: string
  readonly cert: string
  readonly kubernetes: string
  readonly kv2: string
  readonly kv1: string
  readonly database: string
  readonly ldap: string
  readonly ssh: string
  readonly pki: string
}

/** Their names below `prefix`: nothing, or a path that ends in a slash. */
export function mountsBelow(prefix: string): Mounts {
  return {
    jwt: `${prefix}jwt`,
    appRole: `${prefix}approle`,
    cert: `${prefix}cert`,
    kubernetes: `${prefix}kubernetes`,
    kv2: `${prefix}secret`,
    kv1: `${prefix}kv1`,
    database: `${prefix}database`,
    ldap: `${prefix}ldap`,
    ssh: `${prefix}ssh`,
    pki: `${prefix}pki`,
  }
}

/** The types of the auth methods, and what the secret engines are mounted with. */
export const AUTH_METHODS = { jwt: 'jwt', appRole: 'approle', cert: 'cert', kubernetes: 'kubernetes' } as const
export const ENGINES = {
  kv2: { type: 'kv', options: { version: '2' } },
  kv1: { type: 'kv', options: { version: '1' } },
  database: { type: 'database' },
  ldap: { type: 'ldap' },
  ssh: { type: 'ssh' },
  pki: { type: 'pki' },
} as const

/** What the name of a user is in policies: the alias that a login at the JWT mount gives. */
export function nameOf(jwtAccessor: string): string {
  return `{{identity.entity.aliases.${jwtAccessor}.name}}`
}

/** Each user may read what is the user's own. */
export function userPolicy(mounts: Mounts, jwtAccessor: string): string {
  const name = nameOf(jwtAccessor)
  return policy({
    [`${mounts.kv2}/data/users/${name}/*`]: ['read'],
    [`${mounts.kv2}/metadata/users/${name}/*`]: ['read', 'list'],
    [`${mounts.kv1}/users/${name}/*`]: ['read'],
    [`${mounts.database}/creds/readonly`]: ['read'],
    [`${mounts.database}/creds/${name}`]: ['read'],
    [`${mounts.database}/static-creds/${name}`]: ['read'],
    [`${mounts.ldap}/creds/${name}`]: ['read'],
    [`${mounts.ldap}/static-cred/${name}`]: ['read'],
    [`${mounts.ldap}/library/${name}/check-out`]: ['update'],
    [`${mounts.ldap}/library/${name}/check-in`]: ['update'],
    [`${mounts.ssh}/sign/user`]: ['update'],
    [`${mounts.pki}/issue/user`]: ['update'],
  })
}

/** A server that logs in as itself may read what is any user's, and end the leases of it. */
export function serverPolicy(mounts: Mounts): string {
  return policy({
    [`${mounts.kv2}/data/users/*`]: ['read'],
    [`${mounts.kv2}/metadata/users/*`]: ['read', 'list'],
    [`${mounts.kv1}/users/*`]: ['read'],
    [`${mounts.database}/creds/*`]: ['read'],
    [`${mounts.database}/static-creds/*`]: ['read'],
    [`${mounts.ldap}/creds/*`]: ['read'],
    [`${mounts.ldap}/static-cred/*`]: ['read'],
    [`${mounts.ldap}/library/+/check-out`]: ['update'],
    [`${mounts.ldap}/library/+/check-in`]: ['update'],
    [`${mounts.ssh}/sign/server`]: ['update'],
    [`${mounts.pki}/issue/server`]: ['update'],
    'sys/leases/renew': ['update'],
    'sys/leases/revoke': ['update'],
  })
}

function policy(paths: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(paths)
    .map(([path, capabilities]) => `path "${path}" { capabilities = ${JSON.stringify(capabilities)} }\n`)
    .join('')
}
