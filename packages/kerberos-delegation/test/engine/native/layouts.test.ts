import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHANNEL_BINDINGS, CREDS, KEYTAB_ENTRY } from '../../../src/engine/native/layouts.ts'

const program = `
#include <krb5.h>
#include <gssapi/gssapi.h>
#include <stddef.h>
#include <stdio.h>
#define AT(type, field) (int)offsetof(type, field)
int main(void) {
  printf("[[%d,%d,%d,%d,%d,%d,%d],", (int)sizeof(krb5_creds), AT(krb5_creds, client), AT(krb5_creds, server),
    AT(krb5_creds, times.endtime), AT(krb5_creds, ticket_flags), AT(krb5_creds, second_ticket.length),
    AT(krb5_creds, second_ticket.data));
  printf("[%d,%d,%d,%d],", (int)sizeof(krb5_keytab_entry), AT(krb5_keytab_entry, principal), AT(krb5_keytab_entry, vno),
    AT(krb5_keytab_entry, key.enctype));
  printf("[%d,%d,%d]]", (int)sizeof(struct gss_channel_bindings_struct),
    AT(struct gss_channel_bindings_struct, application_data.length),
    AT(struct gss_channel_bindings_struct, application_data.value));
  return 0;
}
`

const lacking = ['/usr/bin/cc', '/usr/include/krb5.h', '/usr/include/gssapi/gssapi.h'].filter(
  (path) => !existsSync(path),
)
const isRequired = process.env['REQUIRE_REAL'] === '1'
if (lacking.length > 0 && !isRequired)
  console.warn(`SKIPPED: the layout of structs is not compared: no ${lacking.join(', ')}`)

test.skipIf(lacking.length > 0 && !isRequired)('structs are laid out as the compiler lays them out', () => {
  const folder = mkdtempSync(join(tmpdir(), 'layouts-'))
  try {
    writeFileSync(join(folder, 'layouts.c'), program)
    execFileSync('cc', ['-o', join(folder, 'layouts'), join(folder, 'layouts.c')])
    const [creds, entry, bindings] = JSON.parse(execFileSync(join(folder, 'layouts'), { encoding: 'utf8' }))
    expect(creds).toEqual(Object.values(CREDS))
    expect(entry).toEqual(Object.values(KEYTAB_ENTRY))
    expect(bindings).toEqual(Object.values(CHANNEL_BINDINGS))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
