import { DelegationError } from '@mcp-delegation/core'
import type { EngineError } from './engine/engine.ts'
import type { HelperFailure, Refusal } from './engine/messages.ts'
import { type Circumstances, EXPLANATIONS, type Words } from './explanations.ts'
import { KerberosError, type KerberosReason } from './kerberos-error.ts'

const REFUSALS: Readonly<Record<Refusal, KerberosReason>> = {
  'no-pac': 'no-privilege-attributes',
  'other-account': 'user-is-another-account',
  machine: 'user-is-a-machine',
  privileged: 'user-privileged',
  'not-delegated': 'user-not-delegated',
  'denied-sid': 'user-denied-by-sid',
  'missing-group': 'user-lacks-group',
  disabled: 'user-disabled',
}

const BY_KIND: Readonly<Record<EngineError['kind'], KerberosReason>> = {
  failed: 'unexpected',
  late: 'kdc-silent',
  open: 'kdc-silent-lately',
  lost: 'engine-stopped',
  closed: 'ticket-released',
}

/** KDC errors of the protocol (RFC 4120, section 7.5.9) and of the library, as signed minor codes. */
const CODE = {
  nameExpired: -1765328383,
  clientUnknown: -1765328378,
  serverUnknown: -1765328377,
  notUnique: -1765328376,
  policy: -1765328372,
  badOption: -1765328371,
  etypeUnsupported: -1765328370,
  clientRevoked: -1765328366,
  serviceRevoked: -1765328365,
  keyExpired: -1765328361,
  preauthFailed: -1765328360,
  serviceUnavailable: -1765328355,
  decryptFailed: -1765328353,
  ticketExpired: -1765328352,
  notYetValid: -1765328351,
  skew: -1765328347,
  kdcSkew: -1765328236,
  kdcUnreachable: -1765328228,
  realmUnknown: -1765328230,
  ccacheMissing: -1765328189,
  ticketMissing: -1765328243,
  keytabEntryMissing: -1765328203,
  kvnoMissing: -1765328154,
  kvnoWrong: -1765328340,
} as const

/** What a code means in whatever step it comes up. */
const ANYWHERE: ReadonlyMap<number, KerberosReason> = new Map<number, KerberosReason>([
  [CODE.kdcUnreachable, 'kdc-unreachable'],
  [CODE.realmUnknown, 'kdc-unknown'],
  [CODE.serviceUnavailable, 'kdc-unreachable'],
  [CODE.skew, 'clock-skew'],
  [CODE.notYetValid, 'clock-skew'],
  [CODE.kdcSkew, 'clock-skew'],
  [CODE.ticketExpired, 'ticket-expired'],
  [CODE.etypeUnsupported, 'encryption-type-refused'],
])

/** What a code means when it is about the service itself. */
const SERVICE: ReadonlyMap<number, KerberosReason> = new Map<number, KerberosReason>([
  [CODE.clientUnknown, 'service-account-unknown'],
  [CODE.clientRevoked, 'service-account-disabled'],
  [CODE.policy, 'service-account-disabled'],
  [CODE.nameExpired, 'service-account-disabled'],
  [CODE.keyExpired, 'service-password-expired'],
  [CODE.preauthFailed, 'key-rejected'],
  [CODE.decryptFailed, 'key-rejected'],
  [CODE.ccacheMissing, 'keytab-unusable'],
  [CODE.keytabEntryMissing, 'key-rejected'],
  [CODE.kvnoMissing, 'key-rejected'],
  [CODE.kvnoWrong, 'key-rejected'],
])

/** What a code means when it is about the user. */
const USER: ReadonlyMap<number, KerberosReason> = new Map<number, KerberosReason>([
  [CODE.clientUnknown, 'user-unknown'],
  [CODE.clientRevoked, 'user-disabled'],
  [CODE.policy, 'user-refused-by-policy'],
  [CODE.nameExpired, 'user-expired'],
  [CODE.keyExpired, 'user-must-change-password'],
  [CODE.serviceRevoked, 'service-account-disabled'],
])

function reasonOf(failure: HelperFailure): KerberosReason {
  const { stage, refusal, evidence, minor = 0 } = failure
  if (refusal !== undefined) return REFUSALS[refusal]
  const anywhere = ANYWHERE.get(minor)
  if (anywhere !== undefined) return anywhere
  switch (stage) {
    case 'load':
      return 'library-missing'
    case 'keytab':
      return 'keytab-unusable'
    case 'service':
    case 'accept':
      return SERVICE.get(minor) ?? 'unexpected'
    case 'pac':
      return 'no-privilege-attributes'
    case 'self':
      if (minor === CODE.badOption || minor === CODE.serverUnknown) return 'service-not-a-service'
      return USER.get(minor) ?? SERVICE.get(minor) ?? 'unexpected'
    case 'proxy':
      if (minor === CODE.badOption) {
        if (evidence?.notDelegated === true) return 'user-not-delegated'
        return evidence?.forwardable === false ? 'no-protocol-transition' : 'target-not-delegated'
      }
      if (minor === CODE.serverUnknown) return 'target-unknown'
      if (minor === CODE.notUnique) return 'target-duplicated'
      return USER.get(minor) ?? 'unexpected'
    case 'context':
      return 'peer-refused'
    case 'token':
      // The library passes over a ticket that has expired; the cache holds no other.
      return minor === CODE.ticketMissing ? 'ticket-expired' : 'unexpected'
    default:
      return 'unexpected'
  }
}

/** The user as a word of a command that somebody may paste into a shell: users choose names, such as `x$(reboot)`. */
function wordOf({ user, realm }: Circumstances): string {
  if (user === undefined) return 'the user'
  const name = user.endsWith(`@${realm}`) ? user.slice(0, -realm.length - 1) : user
  return /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/.test(name) ? name : 'ACCOUNT'
}

/** A failure of the engine as the one error of this framework; its cause says what to do. */
export function failureOf(error: EngineError, of: Circumstances): DelegationError {
  const { kind, failure, retryAt } = error
  const reason = kind === 'failed' && failure !== undefined ? reasonOf(failure) : BY_KIND[kind]
  const { code, message, remedy } = EXPLANATIONS[reason]
  const words: Words = {
    ...of,
    person: wordOf(of),
    spn: of.target ?? 'SPN',
    sid: failure?.sid ?? 'a SID',
  }
  const cause = new KerberosError(reason, failure?.text ?? error.message, remedy(words), {
    stage: failure?.stage,
    major: failure?.major,
    minor: failure?.minor,
    cause: error,
  })
  const retryAfter = retryAt === undefined ? undefined : new Date(retryAt)
  return new DelegationError(code, message, { cause, retryAfter })
}
