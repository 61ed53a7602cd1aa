/** The realm of the lab. */
export const REALM = 'CORP.EXAMPLE'
/** Its short name. */
export const WORKGROUP = 'CORP'
/** The KDC's port on the lab's address. */
export const KRB5_PORT = 18088
const KPASSWD_PORT = 18464

/** Where a domain lies and listens, and what of it runs. */
export interface Layout {
  /** Everything that belongs to the servers: `<folder>/domain`. */
  readonly domain: string
  /** The lab's own address, 127.x.y.z. */
  readonly address: string
  /** Whether LDAP runs besides the KDC. */
  readonly ldap: boolean
  /** Whether SMB runs besides the KDC. */
  readonly smb: boolean
}

/** Folders that Samba wants to find. */
export const DOMAIN_FOLDERS: readonly string[] = [
  'private',
  'state',
  'cache',
  'lock',
  'run',
  'log',
  'ncalrpc',
  'winbindd',
  'export',
  'data',
]

/**
 * Samba's configuration. An interface without its prefix length is one that Samba does not listen on. Without any module
 * named, a domain controller wants some that the package of Samba does not have; `posixacl` is built in.
 */
export function smbConf({ domain, address, ldap, smb }: Layout): string {
  const settings = {
    workgroup: WORKGROUP,
    realm: REALM,
    'netbios name': 'DC1',
    'server role': 'active directory domain controller',
    'private dir': `${domain}/private`,
    'state directory': `${domain}/state`,
    'cache directory': `${domain}/cache`,
    'lock directory': `${domain}/lock`,
    'pid directory': `${domain}/run`,
    'binddns dir': `${domain}/bind-dns`,
    'ncalrpc dir': `${domain}/ncalrpc`,
    'winbindd socket directory': smb ? '/run/samba/winbindd' : `${domain}/winbindd`,
    'ntp signd socket directory': `${domain}/ntp_signd`,
    'usershare path': '',
    'log file': `${domain}/log/samba.log`,
    logging: 'file',
    'log level': '1 kerberos:3',
    'debug hires timestamp': 'yes',
    'max log size': '0',
    interfaces: `${address}/8`,
    'bind interfaces only': 'yes',
    'server services': ['kdc', ...(ldap ? ['ldap'] : []), ...(smb ? ['s3fs', 'winbindd', 'rpc'] : [])].join(' '),
    'krb5 port': KRB5_PORT,
    'kpasswd port': KPASSWD_PORT,
    'kdc default domain supported enctypes': 'aes128-cts-hmac-sha1-96 aes256-cts-hmac-sha1-96',
    'tls enabled': 'no',
    'vfs objects': 'posixacl',
    'load printers': 'no',
    printing: 'bsd',
  }
  return [
    section('global', settings),
    section('sysvol', { path: `${domain}/state/sysvol`, 'read only': 'no' }),
    section('netlogon', { path: `${domain}/state/sysvol/${REALM.toLowerCase()}/scripts`, 'read only': 'no' }),
    smb ? section('data', { path: `${domain}/data`, 'read only': 'no' }) : '',
  ].join('')
}

function section(name: string, settings: Record<string, string | number>): string {
  const lines = Object.entries(settings).map(([key, value]) => `\t${key} = ${value}\n`)
  return `[${name}]\n${lines.join('')}`
}

/** A client's configuration: nothing from DNS, and the client's clock is not silently corrected by the KDC's. */
export function krb5Conf(address: string, ccache: string): string {
  const dns = REALM.toLowerCase()
  return `[libdefaults]
\tdefault_realm = ${REALM}
\tdns_lookup_realm = false
\tdns_lookup_kdc = false
\tdns_canonicalize_hostname = false
\trdns = false
\tqualify_shortname = ""
\tignore_acceptor_hostname = true
\tudp_preference_limit = 1
\tforwardable = true
\tkdc_timesync = 0
\tclockskew = 300
\tdefault_ccache_name = FILE:${ccache}
[realms]
\t${REALM} = {
\t\tkdc = ${address}:${KRB5_PORT}
\t\tkpasswd_server = ${address}:${KPASSWD_PORT}
\t}
[domain_realm]
\t.${dns} = ${REALM}
\t${dns} = ${REALM}
`
}
