import { errors } from 'undici'
import { TOO_LARGE } from './connections.ts'
import { plain } from './server-texts.ts'
import type { VaultErrorKind } from './vault-error.ts'

/** What went wrong on the way to Vault or back. */
export interface TransportFault {
  readonly kind: VaultErrorKind
  /** For the operator. */
  readonly text: string
  readonly cause: Error | undefined
}

const UNTRUSTED: readonly string[] = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]

const LATE: readonly string[] = ['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']

/** Copies of what was thrown: the original may hold what was sent or received. */
export function transportFault(fault: unknown): TransportFault {
  if (fault === TOO_LARGE) return { kind: 'malformed', text: 'the answer is too large', cause: undefined }
  const first = firstOf(fault)
  const { code, message } = factsOf(first)
  const cause = Object.assign(new Error(message), code === '' ? {} : { code })
  const isHttp = !(first instanceof errors.HTTPParserError || first instanceof errors.HeadersOverflowError)
  const kind = !isHttp ? 'malformed' : LATE.includes(code) ? 'late' : 'unreachable'
  const advice = isHttp ? adviceOf(code) : 'the answer is not HTTP'
  return { kind, text: `${advice} (${code === '' ? message : code})`, cause }
}

/** Where all addresses of a name failed, the first says why. */
function firstOf(fault: unknown): unknown {
  return fault instanceof AggregateError && fault.errors.length > 0 ? fault.errors[0] : fault
}

function factsOf(fault: unknown): { readonly code: string; readonly message: string } {
  if (!(fault instanceof Error)) return { code: '', message: 'unknown fault' }
  const { code } = fault as { readonly code?: unknown }
  return { code: typeof code === 'string' ? plain(code) : '', message: plain(fault.message) }
}

function adviceOf(code: string): string {
  if (UNTRUSTED.includes(code))
    return 'its certificate is not of an authority that is trusted here: give the PEM of its authority as "tls.ca"'
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate, or that of its authority in "tls.ca", has expired'
  if (code === 'CERT_NOT_YET_VALID')
    return 'its certificate, or that of its authority in "tls.ca", is not valid yet: compare the clocks'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'its certificate is for another name: give one of its names as "tls.serverName", and its authority as "tls.ca"'
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return 'TLS failed: check that it speaks TLS there, and asks for no other client certificate'
  return 'no answer'
}
