import { join } from 'node:path'

export const BASE = 'dc=corp,dc=example'
export const PEOPLE: string = `ou=people,${BASE}`
export const SERVICES: string = `ou=services,${BASE}`
export const ADMINISTRATOR: string = `cn=vault,${BASE}`

const SCHEMA = ['core', 'cosine', 'inetorgperson', 'nis']

/**
 * slapd's configuration. A password that is changed is stored as a hash. Everybody may change their own; the
 * administrator may change those of all, and make and delete entries.
 */
export function slapdConf(folder: string): string {
  return `${SCHEMA.map((name) => `include /etc/ldap/schema/${name}.schema`).join('\n')}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile ${join(folder, 'data', 'slapd.pid')}
sizelimit unlimited
database mdb
suffix "${BASE}"
directory ${join(folder, 'data')}
maxsize 67108864
dbnosync
index objectClass,uid,cn eq
overlay ppolicy
ppolicy_hash_cleartext
access to attrs=userPassword by dn.exact="${ADMINISTRATOR}" write by self write by anonymous auth by * none
access to dn.subtree="${BASE}" by dn.exact="${ADMINISTRATOR}" write by users read by * none
`
}

/** The first entries in LDIF. `passwords` by the name of the person or of the account. */
export function entries({ administrator, people, services }: Entries): string {
  const person = (name: string, parent: string, password: string): string => `dn: uid=${name},${parent}
objectClass: inetOrgPerson
uid: ${name}
cn: ${name}
sn: ${name}
userPassword: ${password}
`
  return `dn: ${BASE}
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

dn: ${ADMINISTRATOR}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: vault
userPassword: ${administrator}

dn: ${PEOPLE}
objectClass: organizationalUnit
ou: people

dn: ${SERVICES}
objectClass: organizationalUnit
ou: services

${Object.entries(people)
  .map(([name, password]) => person(name, PEOPLE, password))
  .join('\n')}
${Object.entries(services)
  .map(([name, password]) => person(name, SERVICES, password))
  .join('\n')}`
}

/** Passwords, of the people and the accounts by name. */
export interface Entries {
  readonly administrator: string
  readonly people: Readonly<Record<string, string>>
  readonly services: Readonly<Record<string, string>>
}
