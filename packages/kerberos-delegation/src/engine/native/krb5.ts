import { krb5, textAt } from './libraries.ts'
import { type Address, HANDLE, read, write } from './memory.ts'

/** What a call to libkrb5 answered. */
export class Krb5Error extends Error {
  readonly minor: number

  constructor(call: string, minor: number, text: string) {
    super(`${call}: ${text}`)
    this.minor = minor
  }
}

/** The library's context of this thread; it reads the profile. */
const context: Address = initialize()

function initialize(): Address {
  write(HANDLE, 0)
  const code = krb5.init_context(HANDLE)
  if (code !== 0) throw new Krb5Error('krb5_init_context', code, `the profile can't be read (${code})`)
  return read(HANDLE)
}

/** Calls with this thread's context, and throws {@link Krb5Error} for all codes but 0 and `accepted`. */
export function call(
  name: Exclude<keyof typeof krb5, 'init_context' | 'get_error_message' | 'free_error_message'>,
  parameters: readonly (Address | string)[],
  accepted?: number,
): number {
  const code = krb5[name](context, ...parameters)
  if (code !== 0 && code !== accepted) throw new Krb5Error(`krb5_${name}`, code, messageOf(code))
  return code
}

/** The same for functions that answer with a handle. */
export function handleFrom(name: 'cc_resolve' | 'kt_resolve', which: string): Address
export function handleFrom(
  name: 'cc_get_principal' | 'cc_start_seq_get' | 'kt_start_seq_get' | 'unparse_name',
  of: Address,
): Address
export function handleFrom(name: Parameters<typeof call>[0], of: Address | string): Address {
  write(HANDLE, 0)
  call(name, [of, HANDLE])
  return read(HANDLE)
}

/** Calls what answers nothing, or what there is nothing to do about: releases. */
export function release(name: Parameters<typeof call>[0], ...parameters: readonly Address[]): void {
  krb5[name](context, ...parameters)
}

/** A yes or no. */
export function isConfig(principal: Address): boolean {
  return krb5.is_config_principal(context, principal) !== 0
}

export function nameOf(principal: Address): string {
  const name = handleFrom('unparse_name', principal)
  try {
    return textAt(name)
  } finally {
    release('free_unparsed_name', name)
  }
}

function messageOf(code: number): string {
  const message = krb5.get_error_message(context, code)
  try {
    return textAt(message)
  } finally {
    krb5.free_error_message(context, message)
  }
}
