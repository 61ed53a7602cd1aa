const INSTEAD =
  'Run the server on Linux with libgssapi_krb5 (packages libgssapi-krb5-2 or krb5-libs), in a container if need be'

/**
 * Where the module works: on Linux.
 * @throws TypeError saying what to do instead
 */
export function checkPlatform(platform: NodeJS.Platform = process.platform): void {
  if (platform === 'linux') return
  if (platform === 'win32')
    throw new TypeError(
      `kerberosDelegation is not supported on Windows: delegation through SSPI is not there. ${INSTEAD}`,
    )
  if (platform === 'darwin')
    throw new TypeError(
      `kerberosDelegation is not supported on macOS: its Kerberos takes no keytab for S4U2Proxy. ${INSTEAD}`,
    )
  throw new TypeError(`kerberosDelegation is not supported on ${platform}. ${INSTEAD}`)
}
