import { resolve } from 'node:path'
import {
  type DelegationModule,
  type IssueContext,
  type IssuedCredential,
  type PasswordCredential,
  type SecretReader,
  type SecretSource,
  secret,
  secretReader,
} from '@mcp-delegation/core'

/** An account at a backend. */
export interface Account {
  readonly username: string
  /** Where its password is read from: an environment variable, a private file, or a function. */
  readonly password: SecretSource
}

/** An account that was checked, and the name of its option. */
export interface CheckedAccount {
  readonly option: string
  readonly username: string
  /** The same for passwords that are read from one place. */
  readonly source: unknown
  readonly read: SecretReader
}

/** How long a password is kept until it is read again, in milliseconds. */
const DEFAULT_MAX_AGE = 60_000
const MAX_DELAY = 2 ** 31 - 1
const MAX_BYTES = 255
const CLEAN = /^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+$/u

/** Whether `text` may be an issuer, a subject or a target: whatever a session and the registry take for one. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && CLEAN.test(text) && Buffer.byteLength(text) <= MAX_BYTES
}

/** @throws TypeError naming `option`. */
export function checkAccount(account: Partial<Account>, option: string): CheckedAccount {
  if (account === null || typeof account !== 'object') throw new TypeError(`"${option}" must be an account`)
  const { username, password } = account
  if (!isName(username) || /^ | $/.test(username))
    throw new TypeError(`"${option}.username" must be 1 to 255 bytes of clean text without spaces at its ends`)
  const source = password as SecretSource
  return { option, username, read: secretReader(source, `${option}.password`), source: sourceOf(source) }
}

function sourceOf(source: SecretSource): unknown {
  if (typeof source === 'function') return source
  const { env, file } = source as { readonly env?: string; readonly file?: string }
  return file === undefined ? `env ${env}` : `file ${resolve(file)}`
}

/** @throws TypeError naming the option. */
export function checkMaxAge(maxAge: unknown = DEFAULT_MAX_AGE): number {
  if (typeof maxAge !== 'number' || !(maxAge >= 1 && maxAge <= MAX_DELAY))
    throw new TypeError(`"maxAge" must be a number of milliseconds from 1 to ${MAX_DELAY}`)
  return maxAge
}

/** Reads the password; it is good for `maxAge`, since nobody tells when it is changed. */
export async function issueAccount(
  { username, read }: CheckedAccount,
  { signal, clock }: IssueContext,
  maxAge: number,
): Promise<IssuedCredential<PasswordCredential>> {
  const password = await read({ signal })
  return {
    value: Object.freeze({ kind: 'password', username, password: secret(password) }),
    expiresAt: new Date(clock.now() + maxAge),
  }
}

/** A module's check: every password can be read. */
export function checkPasswords(
  accounts: readonly CheckedAccount[],
): NonNullable<DelegationModule<never, never>['check']> {
  return async (options) => {
    for (const { read } of accounts) await read(options)
  }
}
