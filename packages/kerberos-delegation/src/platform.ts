const INSTEAD =
  'Run the server on Linux with libgssapi_krb5 (packages libgssapi-krb5-2 or krb5-libs), in a container if need be'

/**
 * Where the module works: on Linux.
 * @throws TypeError saying what to do instead
 */
export function checkPlatform(platform: NodeJS.Platform = process.platform): void {
  if (platform === 'linux') return
  const name = { win32: 'Windows', darwin: 'macOS' }[platform as string] ?? platform
  throw new TypeError(`kerberosDelegation is not supported on ${name}. ${INSTEAD}`)
}
