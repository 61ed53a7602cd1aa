import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { DelegationError } from './errors.ts'

/** Where a secret comes from. It is read again each time it is needed, so that a rotated one is picked up. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  | ((options: { readonly signal: AbortSignal }) => Promise<string>)

/** Reads a secret; rejects with `ERR_DELEGATION_UNAVAILABLE` where it is not there, without saying what it held, and with the signal's reason after an abort. */
export type SecretReader = (options: { readonly signal: AbortSignal }) => Promise<string>

const MAX_FILE_BYTES = 65_536

/**
 * Checks `source` and returns how to read it. A file must not be readable by others or writable by its group, and must
 * belong to this process's user or to root; it holds UTF-8, and one trailing line break is dropped.
 * @throws TypeError naming `option`.
 */
export function secretReader(source: SecretSource, option: string): SecretReader {
  if (typeof source === 'function') {
    return async (options) => checked(await attempt(() => source(options), option, options.signal), option)
  }
  const { env, file } = (source ?? {}) as { readonly env?: unknown; readonly file?: unknown }
  if (typeof env === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(env) && file === undefined)
    return async () => checked(process.env[env], option)
  if (typeof file === 'string' && file.startsWith('/') && !file.includes('\0') && env === undefined)
    return async ({ signal }) => checked(await attempt(() => readPrivateFile(file), option, signal), option)
  throw new TypeError(`"${option}" must be { env: 'NAME' }, { file: '/absolute/path' } or a function`)
}

async function attempt(read: () => Promise<string>, option: string, signal: AbortSignal): Promise<string> {
  try {
    return await read()
  } catch (cause) {
    signal.throwIfAborted()
    throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', `the secret of "${option}" could not be read`, { cause })
  }
}

function checked(value: unknown, option: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', `the secret of "${option}" is missing or empty`)
}

async function readPrivateFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { mode, uid, size } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new Error(`${path} is not a regular file`)
    if ((mode & 0o027) !== 0)
      throw new Error(`${path} may be read by others or written by its group: chmod 0400, or defaultMode 0440`)
    if (uid !== 0 && uid !== process.getuid?.()) throw new Error(`${path} belongs to another user`)
    if (size > MAX_FILE_BYTES) throw new Error(`${path} is larger than ${MAX_FILE_BYTES} bytes`)
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile()).replace(/\r?\n$/, '')
  } finally {
    await file.close()
  }
}
