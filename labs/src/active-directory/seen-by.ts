import type { ActiveDirectory, RunOptions } from './active-directory.ts'

/**
 * Whom the domain controller's LDAP server sees when the credential cache of `options` is used: the account name, or
 * what the client says where it fails. The rootDSE tells a client who it is by SID; Samba 4.17 has no "Who am I?".
 */
export async function seenByLdap(lab: ActiveDirectory, options: RunOptions = {}): Promise<string> {
  const query = ['-LLL', '-Q', '-Y', 'GSSAPI', '-N', '-o', 'ldif-wrap=no', '-H', 'ldap://dc1.corp.example']
  const { stdout, stderr } = await lab.run('ldapsearch', [...query, '-b', '', '-s', 'base', 'tokenGroups'], options)
  // The first of the token's SIDs is the user's own.
  const first = /^tokenGroups:: (\S+)$/m.exec(stdout)?.[1]
  if (first === undefined) return `nobody: ${stderr.trim() || stdout.trim()}`
  const sid = readSid(Buffer.from(first, 'base64'))
  return lab.accountOf(sid) ?? sid
}

/**
 * Whom the domain controller's file server sees when the credential cache of `options` is used: the owner of a file that
 * the client puts into the share, or what the client says where it fails.
 */
export async function seenBySmb(lab: ActiveDirectory, options: RunOptions = {}): Promise<string> {
  const login = ['//dc1.corp.example/data', '-I', lab.address, '--use-kerberos=required', '-N']
  const name = `seen-${Math.random().toString(36).slice(2)}`
  const commands = `put ${lab.krb5Conf} ${name}; showacls; ls ${name}; rm ${name}`
  const { stdout, stderr } = await lab.run('smbclient', [...login, '-c', commands], options)
  const sid = /Owner SID:\s*(S-[\d-]+)/.exec(stdout)?.[1]
  if (sid === undefined) return `nobody: ${stdout.trim() || stderr.trim()}`
  return lab.accountOf(sid) ?? sid
}

/** The text form of a SID. @see MS-DTYP section 2.4.2.2 */
function readSid(bytes: Buffer): string {
  const count = bytes[1] ?? 0
  const parts = Array.from({ length: count }, (_, index) => bytes.readUInt32LE(8 + 4 * index))
  return ['S', bytes[0], bytes.readUIntBE(2, 6), ...parts].join('-')
}
