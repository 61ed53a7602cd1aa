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
  readonly read: SecretReader
}

/** How long a password is kept until it is read again, in milliseconds. */
const DEFAULT_MAX_AGE = 60_000
const MAX_DELAY = 2 ** 31 - 1
const MAX_BYTES = 255
const CLEAN = /^(?! )[^\p{C}\p{Zl}\p{Zp}]+(?<! )$/u

/** Whether `text` is 1 to 255 bytes of text without control characters and loose spaces. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && CLEAN.test(text) && Buffer.byteLength(text) <= MAX_BYTES
}

/** @throws TypeError naming `option`. */
export function checkAccount(account: Partial<Account>, option: string): CheckedAccount {
  if (account === null || typeof account !== 'object') throw new TypeError(`"${option}" must be an account`)
  const { username, password } = account
  if (!isName(username)) throw new TypeError(`"${option}.username" must be 1 to 255 bytes of clean text`)
  return { option, username, read: secretReader(password as SecretSource, `${option}.password`) }
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
  signal.throwIfAborted()
  const password = await read({ signal })
  signal.throwIfAborted()
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
