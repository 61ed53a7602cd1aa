import { isRequestPath } from '../request-path.ts'

/**
 * The path of an auth method, without `auth/`.
 * @throws TypeError
 */
export function checkMount(mount: unknown): string {
  if (!isRequestPath(mount)) throw new TypeError('"mount" must be a path of plain segments without slashes at its ends')
  return mount
}

/**
 * The name of something at the server.
 * @throws TypeError naming `option`.
 */
export function checkName(name: unknown, option: string): string {
  if (typeof name !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(name))
    throw new TypeError(`"${option}" must be 1 to 255 printable ASCII characters without spaces`)
  return name
}

/**
 * The absolute path of a file.
 * @throws TypeError naming `option`.
 */
export function checkFile(path: unknown, option: string): string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0'))
    throw new TypeError(`"${option}" must be the absolute path of a file`)
  return path
}
