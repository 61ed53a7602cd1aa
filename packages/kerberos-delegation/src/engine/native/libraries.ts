import koffi, { type LibraryHandle } from 'koffi'

/** What is passed: numbers, addresses as numbers, text (copied for the call), bytes (lent for the call). */
type Argument = number | string | Uint8Array
type Call = (...parameters: readonly Argument[]) => number
type Calls<Name extends string> = Readonly<Record<Name, Call>>

const REMEDY =
  'install MIT Kerberos 1.19 or newer: libgssapi-krb5-2 on Debian and Ubuntu, krb5-libs on Fedora and Red Hat Enterprise Linux'

/** By the letters of a signature. An address is below 2^53 on every platform with 64 bits that Node runs on. */
const types: Readonly<Record<string, string>> = {
  v: 'void',
  p: 'uintptr_t',
  z: 'size_t',
  u: 'uint32_t',
  i: 'int32_t',
  l: 'uint64_t',
  s: 'str',
  b: 'void *',
}

/** Signatures are letters: the result, then the parameters. Every call is made on the calling thread. */
function bind<Name extends string>(file: string | null, prefix: string, signatures: Record<Name, string>): Calls<Name> {
  let library: LibraryHandle
  try {
    library = koffi.load(file)
  } catch (cause) {
    throw new Error(`${file} can't be loaded (${(cause as Error).message.trim()}): ${REMEDY}`, { cause })
  }
  const calls: Record<string, Call> = {}
  for (const [name, signature] of Object.entries<string>(signatures)) {
    const [result = 'void', ...parameters] = [...signature].map((letter) => types[letter] ?? 'void')
    try {
      calls[name] = library.func(`${prefix}${name}`, result, parameters)
    } catch (cause) {
      throw new Error(`${file ?? 'the C library'} has no ${prefix}${name}: ${REMEDY}`, { cause })
    }
  }
  return calls as Calls<Name>
}

/** The C library, as the process has it. */
export const libc: Calls<'malloc' | 'free' | 'prctl' | 'setrlimit' | 'alarm'> = bind(null, '', {
  malloc: 'pz',
  free: 'vp',
  prctl: 'iillll',
  setrlimit: 'iib',
  alarm: 'uu',
})

/** Copies from an address into bytes. */
export const copyOut: Call = bind(null, '', { memcpy: 'pbpz' }).memcpy

/** Copies bytes to an address. */
export const copyIn: Call = bind(null, '', { memcpy: 'ppbz' }).memcpy

/** @see RFC 2744, and MIT's gssapi_ext.h and gssapi_krb5.h */
export const gss: Calls<
  | 'import_name'
  | 'display_name'
  | 'release_name'
  | 'get_name_attribute'
  | 'acquire_cred_from'
  | 'acquire_cred_impersonate_name'
  | 'store_cred_into'
  | 'release_cred'
  | 'init_sec_context'
  | 'accept_sec_context'
  | 'inquire_context'
  | 'delete_sec_context'
  | 'wrap'
  | 'unwrap'
  | 'release_buffer'
  | 'display_status'
> = bind('libgssapi_krb5.so.2', 'gss_', {
  import_name: 'upppp',
  display_name: 'upppp',
  release_name: 'upp',
  get_name_attribute: 'upppppppp',
  acquire_cred_from: 'uppupipppp',
  acquire_cred_impersonate_name: 'upppupippp',
  store_cred_into: 'uppipuuppp',
  release_cred: 'upp',
  init_sec_context: 'upppppuupppppp',
  accept_sec_context: 'uppppppppppp',
  inquire_context: 'uppppppppp',
  delete_sec_context: 'uppp',
  wrap: 'uppiuppp',
  unwrap: 'upppppp',
  release_buffer: 'upp',
  display_status: 'upuippp',
})

/** @see MIT's krb5.h */
export const krb5: Calls<
  | 'init_context'
  | 'get_error_message'
  | 'free_error_message'
  | 'unparse_name'
  | 'free_unparsed_name'
  | 'is_config_principal'
  | 'cc_resolve'
  | 'cc_close'
  | 'cc_destroy'
  | 'cc_get_principal'
  | 'cc_initialize'
  | 'cc_start_seq_get'
  | 'cc_next_cred'
  | 'cc_end_seq_get'
  | 'cc_store_cred'
  | 'free_cred_contents'
  | 'free_principal'
  | 'kt_resolve'
  | 'kt_close'
  | 'kt_start_seq_get'
  | 'kt_next_entry'
  | 'kt_end_seq_get'
  | 'kt_add_entry'
  | 'free_keytab_entry_contents'
> = bind('libkrb5.so.3', 'krb5_', {
  init_context: 'ip',
  get_error_message: 'ppi',
  free_error_message: 'vpp',
  unparse_name: 'ippp',
  free_unparsed_name: 'vpp',
  is_config_principal: 'upp',
  cc_resolve: 'ipsp',
  cc_close: 'ipp',
  cc_destroy: 'ipp',
  cc_get_principal: 'ippp',
  cc_initialize: 'ippp',
  cc_start_seq_get: 'ippp',
  cc_next_cred: 'ipppp',
  cc_end_seq_get: 'ippp',
  cc_store_cred: 'ippp',
  free_cred_contents: 'vpp',
  free_principal: 'vpp',
  kt_resolve: 'ipsp',
  kt_close: 'ipp',
  kt_start_seq_get: 'ippp',
  kt_next_entry: 'ipppp',
  kt_end_seq_get: 'ippp',
  kt_add_entry: 'ippp',
  free_keytab_entry_contents: 'ipp',
})

/** A block of native memory that is never freed, as its address and a view on it. */
export function block(length: number): { readonly address: number; readonly view: ArrayBuffer } {
  const address = koffi.alloc('uint8_t', length) as bigint
  return { address: Number(address), view: koffi.view(address, length) }
}

/** The zero-terminated text at an address. */
export function textAt(address: number): string {
  return koffi.decode.string(BigInt(address))
}
