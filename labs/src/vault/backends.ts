import type { OpenLdap } from '../open-ldap/index.ts'
import type { PostgreSql } from '../postgresql/index.ts'
import type { Mounts } from './mounts.ts'
import { type Ask, must } from './requests.ts'

/**
 * Connects the database engine to PostgreSQL: `readonly` is a dynamic role whose users may read every table, `alice` a
 * static one of the account `alice_app`.
 */
export async function configureDatabase(ask: Ask, { database }: Mounts, postgresql: PostgreSql): Promise<void> {
  const { administrator, connectionUrl } = postgresql
  await postgresql.query('CREATE ROLE reader NOLOGIN')
  await postgresql.query('GRANT pg_read_all_data TO reader')
  await postgresql.query(`GRANT reader TO ${administrator.username} WITH ADMIN OPTION`)
  await postgresql.query('CREATE ROLE alice_app LOGIN')
  await must(ask, 'POST', `${database}/config/postgresql`, {
    plugin_name: 'postgresql-database-plugin',
    connection_url: connectionUrl,
    ...administrator,
    allowed_roles: ['*'],
    password_authentication: 'scram-sha-256',
    max_open_connections: 8,
  })
  await must(ask, 'POST', `${database}/roles/readonly`, {
    db_name: 'postgresql',
    creation_statements: [
      `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE reader`,
    ],
    revocation_statements: [
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'`,
      'DROP ROLE IF EXISTS "{{name}}"',
    ],
    default_ttl: '10m',
    max_ttl: '1h',
  })
  await must(ask, 'POST', `${database}/static-roles/alice`, {
    db_name: 'postgresql',
    username: 'alice_app',
    rotation_period: '24h',
  })
}

/**
 * Connects the LDAP engine to OpenLDAP: each person has a static role (the person's own entry) and a dynamic one of the
 * person's name, and `alice` a library with all service accounts.
 */
export async function configureLdap(ask: Ask, { ldap }: Mounts, directory: OpenLdap): Promise<void> {
  const { administrator, base, peopleBase, people, services, url } = directory
  await must(ask, 'POST', `${ldap}/config`, {
    schema: 'openldap',
    url,
    binddn: administrator.dn,
    bindpass: administrator.password,
    userdn: base,
    userattr: 'uid',
  })
  for (const [name, { dn }] of Object.entries(people)) {
    await must(ask, 'POST', `${ldap}/static-role/${name}`, { dn, username: name, rotation_period: '24h' })
    await must(ask, 'POST', `${ldap}/role/${name}`, {
      creation_ldif: `dn: uid={{.Username}},${peopleBase}
objectClass: inetOrgPerson
uid: {{.Username}}
cn: {{.Username}}
sn: ${name}
userPassword: {{.Password}}
`,
      deletion_ldif: `dn: uid={{.Username}},${peopleBase}\nchangetype: delete\n`,
      default_ttl: '10m',
      max_ttl: '1h',
    })
  }
  await must(ask, 'POST', `${ldap}/library/alice`, {
    service_account_names: Object.keys(services),
    ttl: '10m',
    max_ttl: '1h',
  })
}
