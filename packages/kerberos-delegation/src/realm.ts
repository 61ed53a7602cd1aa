const REALM = /^[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?(?:\.[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?)*$/
const MAX_LENGTH = 255

/**
 * A realm: the domain's DNS name in upper case.
 * @throws TypeError naming `option`
 */
export function checkRealm(realm: unknown, option: string): string {
  if (typeof realm === 'string' && realm.length <= MAX_LENGTH && REALM.test(realm)) return realm
  const hint = typeof realm === 'string' && REALM.test(realm.toUpperCase()) ? ', in upper case' : ''
  throw new TypeError(`"${option}" must be a realm such as CORP.EXAMPLE${hint}`)
}
