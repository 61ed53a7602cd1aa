/** Where the fields of structs are, in bytes, on every platform with 64 bits. @see MIT's krb5.h and gssapi.h */

/** krb5_creds */
export const CREDS = {
  size: 120,
  client: 8,
  server: 16,
  endtime: 56,
  flags: 68,
  secondTicketLength: 100,
  secondTicketData: 104,
} as const

/** krb5_keytab_entry */
export const KEYTAB_ENTRY = { size: 48, principal: 8, kvno: 20, enctype: 28 } as const

/** struct gss_channel_bindings_struct */
export const CHANNEL_BINDINGS = { size: 64, dataLength: 48, dataValue: 56 } as const
