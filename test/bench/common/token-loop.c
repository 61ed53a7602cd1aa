/*
 * Makes initial tokens for one service from a cached ticket, as fast as libgssapi_krb5 can. The ticket is taken from the
 * cache file that the first argument names, into a cache in memory. Each line of standard input is a number of tokens to
 * make; the answer to it is a line with the microseconds that passed and those of the processor.
 */
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *MEMORY = "MEMORY:loop";

static void check(int ok, const char *step) {
  if (ok) return;
  fprintf(stderr, "failed: %s\n", step);
  exit(1);
}

static double microseconds(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static void load(const char *file) {
  krb5_context context;
  krb5_ccache from, to;
  krb5_principal owner;
  check(krb5_init_context(&context) == 0, "krb5_init_context");
  check(krb5_cc_resolve(context, file, &from) == 0, "krb5_cc_resolve");
  check(krb5_cc_resolve(context, MEMORY, &to) == 0, "krb5_cc_resolve");
  check(krb5_cc_get_principal(context, from, &owner) == 0, "krb5_cc_get_principal");
  check(krb5_cc_initialize(context, to, owner) == 0, "krb5_cc_initialize");
  check(krb5_cc_copy_creds(context, from, to) == 0, "krb5_cc_copy_creds");
  krb5_cc_close(context, from);
}

int main(int argc, char **argv) {
  check(argc == 3, "arguments: cache service");
  load(argv[1]);
  OM_uint32 minor;
  gss_name_t target;
  gss_cred_id_t credential;
  gss_buffer_desc service = {strlen(argv[2]), argv[2]};
  check(gss_import_name(&minor, &service, GSS_KRB5_NT_PRINCIPAL_NAME, &target) == GSS_S_COMPLETE, "gss_import_name");
  gss_OID_set_desc mechanisms = {1, (gss_OID)gss_mech_krb5};
  gss_key_value_element_desc element = {"ccache", MEMORY};
  gss_key_value_set_desc store = {1, &element};
  check(gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechanisms, GSS_C_INITIATE, &store, &credential,
                              NULL, NULL) == GSS_S_COMPLETE,
        "gss_acquire_cred_from");
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    long calls = strtol(line, NULL, 10);
    double wall = microseconds(CLOCK_MONOTONIC), cpu = microseconds(CLOCK_PROCESS_CPUTIME_ID);
    for (long call = 0; call < calls; call++) {
      gss_ctx_id_t context = GSS_C_NO_CONTEXT;
      gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
      OM_uint32 major = gss_init_sec_context(&minor, credential, &context, target, (gss_OID)gss_mech_krb5, 0, 0,
                                             GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
      check(major == GSS_S_COMPLETE && token.length > 0, "gss_init_sec_context");
      gss_release_buffer(&minor, &token);
      gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    }
    printf("%f %f\n", microseconds(CLOCK_MONOTONIC) - wall, microseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);
  }
  return 0;
}
