/** Encryption types by number, as `klist` names them. @see https://www.iana.org/assignments/kerberos-parameters */
const NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'des-cbc-crc'],
  [2, 'des-cbc-md4'],
  [3, 'des-cbc-md5'],
  [16, 'des3-cbc-sha1'],
  [17, 'aes128-cts-hmac-sha1-96'],
  [18, 'aes256-cts-hmac-sha1-96'],
  [19, 'aes128-cts-hmac-sha256-128'],
  [20, 'aes256-cts-hmac-sha384-192'],
  [23, 'arcfour-hmac'],
  [24, 'arcfour-hmac-exp'],
  [25, 'camellia128-cts-cmac'],
  [26, 'camellia256-cts-cmac'],
])

/** The types that are used, best known first: AES only. */
const PERMITTED: readonly number[] = [18, 17, 20, 19]

export const permittedEnctypes: readonly string[] = PERMITTED.map(enctypeName)

export function isPermittedEnctype(enctype: number): boolean {
  return PERMITTED.includes(enctype)
}

export function enctypeName(enctype: number): string {
  return NAMES.get(enctype) ?? `encryption type ${enctype}`
}
