import type { DelegationErrorCode } from '@mcp-delegation/core'
import type { KerberosReason } from './kerberos-error.ts'

/** What the words of a remedy are about. All of it was checked, and none of it is secret. */
export interface Circumstances {
  readonly realm: string
  /** The service's account, without realm. */
  readonly account: string
  readonly keytabPath: string
  /** The user's principal. */
  readonly user: string | undefined
  /** The target's SPN, without realm. */
  readonly target: string | undefined
  /** Milliseconds. */
  readonly deadline: number
}

/** What a failure means. */
export interface Explanation {
  readonly code: DelegationErrorCode
  /** Safe to show to anybody: no name of an account or a server. */
  readonly message: string
  readonly remedy: (of: Words) => string
}

/** Names as they go into commands. */
export interface Words extends Circumstances {
  /** The user's account, as far as it is known by name. */
  readonly person: string
  readonly spn: string
  readonly sid: string
}

const DENIED = 'ERR_DELEGATION_DENIED'
const PROTOCOL = 'ERR_DELEGATION_PROTOCOL'
const UNAVAILABLE = 'ERR_DELEGATION_UNAVAILABLE'

const explain = (code: DelegationErrorCode, message: string, remedy: Explanation['remedy']): Explanation => ({
  code,
  message,
  remedy,
})

const NEW_KEYTAB = ({ account, realm, keytabPath }: Words): string =>
  `PowerShell: ktpass /princ ${account}@${realm} /mapuser ${account} /crypto AES256-SHA1 /ptype KRB5_NT_PRINCIPAL /pass * ` +
  `/out new.keytab (it sets a new password); Samba: samba-tool domain exportkeytab new.keytab --principal=${account}. ` +
  `Then replace ${keytabPath}; no restart is needed`

/** Everything that can go wrong, with what to do about it. */
export const EXPLANATIONS: Readonly<Record<KerberosReason, Explanation>> = {
  'library-missing': explain(
    PROTOCOL,
    'Kerberos is not available on this server',
    () => 'Install MIT Kerberos: Debian: apt-get install libgssapi-krb5-2; RHEL: dnf install krb5-libs',
  ),
  'keytab-unusable': explain(PROTOCOL, "the service's keytab can't be used", NEW_KEYTAB),
  'key-rejected': explain(
    PROTOCOL,
    "the domain refuses the service's key",
    (of) =>
      `The key in ${of.keytabPath} is not the account's present one: its password was changed since, or the clock is off. ${NEW_KEYTAB(of)}`,
  ),
  'service-account-unknown': explain(
    PROTOCOL,
    "the domain does not know the service's account",
    ({ account, realm }) =>
      `Check "serviceAccount.username" and "realm". PowerShell: Get-ADUser ${account}; Samba: samba-tool user show ${account}. ` +
      `An account that logs in by its SPN needs it as its user principal name (ktpass /mapuser sets it) in ${realm}`,
  ),
  'service-account-disabled': explain(
    PROTOCOL,
    "the service's account is disabled or locked",
    ({ account }) =>
      `PowerShell: Enable-ADAccount ${account}; Unlock-ADAccount ${account}; Samba: samba-tool user enable ${account}; samba-tool user unlock ${account}`,
  ),
  'service-password-expired': explain(
    PROTOCOL,
    "the password of the service's account has expired",
    (of) =>
      `PowerShell: Set-ADUser ${of.account} -PasswordNeverExpires $true; Samba: samba-tool user setexpiry ${of.account} --noexpiry. ${NEW_KEYTAB(of)}`,
  ),
  'service-not-a-service': explain(
    PROTOCOL,
    "the service's account can't have tickets issued to it",
    ({ account }) =>
      `Give it a service principal name. PowerShell: setspn -S HTTP/mcp.example.com ${account}; Samba: samba-tool spn add HTTP/mcp.example.com ${account}`,
  ),
  'encryption-type-refused': explain(
    PROTOCOL,
    'the domain and this server share no encryption type',
    ({ account }) =>
      `AES must be on for the service's account and for the target's. PowerShell: Set-ADUser ${account} -KerberosEncryptionType AES128,AES256; ` +
      `Samba: samba-tool user edit ${account}, and set msDS-SupportedEncryptionTypes to 24. Then change the password once`,
  ),
  'user-unknown': explain(
    DENIED,
    'the domain does not know this user',
    ({ person }) =>
      `Check the "principal" mapping. PowerShell: Get-ADUser -Filter "SamAccountName -eq '${person}' -or UserPrincipalName -eq '${person}'"; ` +
      `Samba: samba-tool user show ${person}`,
  ),
  'user-disabled': explain(
    DENIED,
    "the user's account is disabled or locked",
    ({ person }) =>
      `PowerShell: Enable-ADAccount ${person}; Unlock-ADAccount ${person}; Samba: samba-tool user enable ${person}; samba-tool user unlock ${person}`,
  ),
  'user-expired': explain(
    DENIED,
    "the user's account has expired",
    ({ person }) =>
      `PowerShell: Clear-ADAccountExpiration ${person}; Samba: samba-tool user setexpiry ${person} --noexpiry`,
  ),
  'user-must-change-password': explain(
    DENIED,
    'the user must change their password first',
    ({ person }) =>
      `The user logs in to the domain once. PowerShell: Set-ADUser ${person} -ChangePasswordAtLogon $false; Samba: set pwdLastSet to -1 with samba-tool user edit ${person}`,
  ),
  'user-refused-by-policy': explain(
    DENIED,
    "the domain's policy refuses this user",
    ({ person }) =>
      `The account ${person} is disabled, locked, outside its logon hours, or kept from this service by an authentication policy. ` +
      `PowerShell: Get-ADUser ${person} -Properties *; Samba: samba-tool user show ${person}. ` +
      `Where it is only disabled, PowerShell: Enable-ADAccount ${person}; Samba: samba-tool user enable ${person}`,
  ),
  'user-not-delegated': explain(
    DENIED,
    'this user may not be delegated',
    ({ person }) =>
      `The account ${person} is "sensitive and cannot be delegated", or in Protected Users. That is usually meant. To change it, PowerShell: ` +
      `Set-ADUser ${person} -AccountNotDelegated $false; Remove-ADGroupMember 'Protected Users' ${person}; ` +
      `Samba: samba-tool user sensitive ${person} off; samba-tool group removemembers 'Protected Users' ${person}`,
  ),
  'user-privileged': explain(
    DENIED,
    'privileged accounts are not delegated',
    ({ person, sid }) =>
      `${person} is privileged through ${sid}. Work with an ordinary account; there is no option to allow this`,
  ),
  'user-is-a-machine': explain(
    DENIED,
    'accounts of machines are not delegated',
    ({ person }) => `${person} is a machine or trust account. Map the user to an account of a person`,
  ),
  'user-denied-by-sid': explain(
    DENIED,
    'this user may not be delegated',
    ({ person, sid }) => `${person} is or is in ${sid}, which "deny" lists`,
  ),
  'user-lacks-group': explain(
    DENIED,
    'this user may not be delegated',
    ({ person }) =>
      `${person} is in none of the groups of "requireGroupSid". PowerShell: Add-ADGroupMember GROUP ${person}; Samba: samba-tool group addmembers GROUP ${person}`,
  ),
  'user-is-another-account': explain(
    DENIED,
    'the domain knows another account by this name',
    ({ person }) =>
      `The domain resolved ${person} to an account of another name. Map users to the exact account name (sAMAccountName), ` +
      'or to the user principal name with its suffix listed in "realms"',
  ),
  'no-privilege-attributes': explain(
    PROTOCOL,
    "the user's privileges are not known",
    () =>
      'The ticket has no privilege attributes (PAC), or some that make no sense. Active Directory and Samba issue them unless the ' +
      "service's account has the flag NO_AUTH_DATA_REQUIRED (0x2000000) set. For a realm that issues none: pac: 'none', and nobody is judged by SID",
  ),
  'no-protocol-transition': explain(
    DENIED,
    'the service may not act for users who did not log in with Kerberos',
    ({ account }) =>
      `Allow protocol transition ("use any authentication protocol"). PowerShell: Set-ADAccountControl ${account} -TrustedToAuthForDelegation $true; ` +
      `Samba: samba-tool delegation for-any-protocol ${account} on`,
  ),
  'target-not-delegated': explain(
    DENIED,
    'the domain does not let the service act for users at this target',
    ({ account, spn }) =>
      `PowerShell: Set-ADUser ${account} -Add @{'msDS-AllowedToDelegateTo'='${spn}'}; Samba: samba-tool delegation add-service ${account} ${spn}. ` +
      `Or, resource-based, PowerShell: Set-ADComputer TARGET -PrincipalsAllowedToDelegateToAccount ${account}`,
  ),
  'target-unknown': explain(
    DENIED,
    'the domain does not know the target',
    ({ spn }) =>
      `No account has the service principal name ${spn}. PowerShell: setspn -Q ${spn}, then setspn -S ${spn} ACCOUNT; Samba: samba-tool spn add ${spn} ACCOUNT`,
  ),
  'target-duplicated': explain(
    PROTOCOL,
    'the domain knows the target twice',
    ({ spn }) =>
      `More than one account has ${spn}. PowerShell: setspn -X finds them, setspn -D ${spn} ACCOUNT removes one; Samba: samba-tool spn delete ${spn} ACCOUNT`,
  ),
  'clock-skew': explain(
    PROTOCOL,
    'the clocks of this server and of the domain differ',
    () =>
      'They may differ by five minutes. Synchronise both with the same source: chronyc makestep; Windows: w32tm /resync',
  ),
  'kdc-unreachable': explain(
    UNAVAILABLE,
    "the domain's KDC can't be reached",
    ({ realm }) =>
      `No KDC of ${realm} accepts connections on TCP port 88 (or the one in "kdc"). PowerShell: Test-NetConnection HOST -Port 88`,
  ),
  'kdc-unknown': explain(
    UNAVAILABLE,
    "the domain's KDC is not known",
    ({ realm }) =>
      `No KDC is known for ${realm}: the host names in "kdc" don't resolve, or with discovery: 'dns' there is no record _kerberos._tcp.${realm.toLowerCase()}`,
  ),
  'kdc-silent': explain(
    UNAVAILABLE,
    "the domain's KDC did not answer in time",
    ({ realm, deadline }) =>
      `No KDC of ${realm} answered within ${deadline} ms. Look for a firewall that drops TCP port 88, or list a KDC that is alive first in "kdc"`,
  ),
  'kdc-silent-lately': explain(
    UNAVAILABLE,
    "the domain's KDC does not answer at present",
    ({ realm }) => `The KDCs of ${realm} did not answer lately; one request is tried again soon`,
  ),
  'ticket-expired': explain(UNAVAILABLE, 'the ticket has expired', () => 'The next call is issued a new one'),
  'engine-stopped': explain(
    UNAVAILABLE,
    'the Kerberos engine was restarted',
    () =>
      'The helper process had stopped, and its tickets with it; the next call starts a new one. Where that happens again, its last words are in the log',
  ),
  'ticket-released': explain(UNAVAILABLE, 'the ticket was released', () => 'The next call is issued a new one'),
  'peer-refused': explain(
    PROTOCOL,
    "the target's answer can't be trusted",
    () =>
      "The target's token or message failed its check: it is not who it claims to be, or something changed it on the way",
  ),
  unexpected: explain(
    PROTOCOL,
    'Kerberos failed',
    () => 'The code is not one that this module knows; its text is above',
  ),
}
