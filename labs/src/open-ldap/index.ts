export type { LdapAccount, OpenLdap, OpenLdapOptions } from './open-ldap.ts'
export { openLdap } from './open-ldap.ts'
