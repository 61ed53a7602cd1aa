import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { DelegationError } from './errors.ts'

/** Where a secret comes from. It is read again each time it is needed, so that a rotated one is picked up. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  | ((options: { readonly signal: AbortSignal }) => Promise<string>)

/**
 * Reads a secret; rejects with `ERR_DELEGATION_UNAVAILABLE` where it is not there, without saying what it held. Where the
 * signal is aborted, before or while the source is asked, it rejects with the signal's reason, whatever the source did; a
 * function that was asked is waited for.
 */
export type SecretReader = (options: { readonly signal: AbortSignal }) => Promise<string>

const MAX_FILE_BYTES = 65_536

/**
 * Checks `source` and returns how to read it. A file must not be readable by others or writable by its group, and must
 * belong to this process's user or to root; it holds at most 65,536 bytes of UTF-8, and one trailing line break is
 * dropped.
 * @throws TypeError naming `option`.
 */
export function secretReader(source: SecretSource, option: string): SecretReader {
  const ask = asking(source, option)
  return async (options) => {
    const { signal } = options
    signal.throwIfAborted()
    let value: unknown
    try {
      value = await ask(options)
    } catch (cause) {
      signal.throwIfAborted()
      throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', `the secret of "${option}" could not be read`, { cause })
    }
    signal.throwIfAborted()
    if (typeof value === 'string' && value !== '') return value
    throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', `the secret of "${option}" is missing or empty`)
  }
}

function asking(source: SecretSource, option: string): (options: { readonly signal: AbortSignal }) => unknown {
  if (typeof source === 'function') return source
  const { env, file } = (source ?? {}) as { readonly env?: unknown; readonly file?: unknown }
  if (typeof env === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(env) && file === undefined)
    return () => process.env[env]
  if (typeof file === 'string' && file.startsWith('/') && !file.includes('\0') && env === undefined)
    return () => readPrivateFile(file)
  throw new TypeError(`"${option}" must be { env: 'NAME' }, { file: '/absolute/path' } or a function`)
}

async function readPrivateFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { mode, uid } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new Error(`${path} is not a regular file`)
    if ((mode & 0o027) !== 0)
      throw new Error(`${path} may be read by others or written by its group: chmod 0400, or defaultMode 0440`)
    if (uid !== 0 && uid !== process.getuid?.()) throw new Error(`${path} belongs to another user`)
    // Not by the size that the file claims: one that a file system makes up as it is read has none.
    const bytes = Buffer.alloc(MAX_FILE_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = (await file.read(bytes, length, bytes.length - length)).bytesRead
    if (length > MAX_FILE_BYTES) throw new Error(`${path} is larger than ${MAX_FILE_BYTES} bytes`)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length)).replace(/\r?\n$/, '')
  } finally {
    await file.close()
  }
}
