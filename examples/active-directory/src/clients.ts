import { randomUUID } from 'node:crypto'

/** Runs a program to its end, with `input` as its standard input. */
export type RunClient = (
  command: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly input?: string },
) => Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }>

export interface Note {
  readonly name: string
  /** The owner's SID, as the file server says it. */
  readonly owner: string
}

/** The account that the directory knows the user of the credential cache by. It answers with a SID, then with the entry. */
export async function whoAmI(run: RunClient, cache: string): Promise<string> {
  // The first SID in a token is the user's own.
  const rootDse = await ldapSearch(run, cache, ['-b', '', '-s', 'base', 'tokenGroups'])
  const [, sid = ''] = /^tokenGroups:: (\S+)$/m.exec(rootDse) ?? []
  const escaped = Buffer.from(sid, 'base64').toString('hex').replace(/../g, '\\$&')
  const entry = await ldapSearch(run, cache, ['-b', 'DC=corp,DC=example', `(objectSid=${escaped})`, 'sAMAccountName'])
  const [, account] = /^sAMAccountName: (.+)$/m.exec(entry) ?? []
  if (account === undefined) throw new Error(`the directory says nothing of the caller: ${entry}`)
  return account
}

/** Puts a note into the share, and returns its name. */
export async function leaveNote(run: RunClient, cache: string): Promise<string> {
  const name = `note-${randomUUID()}.txt`
  await smbClient(run, cache, `put - ${name}`, 'I was here.\n')
  return name
}

/** The notes in the share. */
export async function listShare(run: RunClient, cache: string): Promise<readonly Note[]> {
  const listing = await smbClient(run, cache, 'showacls; ls note-*')
  const notes = listing.matchAll(/^FILENAME:(\S+)$.*?^\s*Owner SID:\s*(\S+)$/gms)
  return [...notes].map(([, name = '', owner = '']) => ({ name, owner }))
}

function ldapSearch(run: RunClient, cache: string, query: readonly string[]): Promise<string> {
  const login = ['-LLL', '-Q', '-Y', 'GSSAPI', '-N', '-o', 'ldif-wrap=no', '-H', 'ldap://dc1.corp.example']
  return output(run, cache, 'ldapsearch', [...login, ...query])
}

function smbClient(run: RunClient, cache: string, commands: string, input?: string): Promise<string> {
  const login = ['//dc1.corp.example/data', '--use-kerberos=required', '-N']
  return output(run, cache, 'smbclient', [...login, '-c', commands], input)
}

async function output(
  run: RunClient,
  cache: string,
  command: string,
  args: readonly string[],
  input = '',
): Promise<string> {
  const { status, stdout, stderr } = await run(command, args, { env: { KRB5CCNAME: `FILE:${cache}` }, input })
  if (status !== 0) throw new Error(`${command} failed: ${stderr || stdout}`)
  return stdout
}
