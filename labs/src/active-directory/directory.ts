import { chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asServer, run, UNPRIVILEGED } from '../programs.ts'
import { type AccountChanges, accounts, keytabs, passwords } from './accounts.ts'
import { DOMAIN_FOLDERS, krb5Conf, type Layout, REALM, smbConf, WORKGROUP } from './configuration.ts'
import { PYTHON } from './programs.ts'

/** The script that makes and changes domains; the same path from `src` and from `dist`. */
export const SCRIPT: string = fileURLToPath(new URL('../../active-directory/directory.py', import.meta.url))

/** What the script says about the accounts that it made. */
export interface Identifiers {
  readonly domainSid: string
  /** By sAMAccountName. */
  readonly sids: Readonly<Record<string, string>>
}

/** Where things are in a lab's folder. The domain belongs to who runs the servers, all else to us. */
export interface Places {
  readonly domain: string
  readonly keytabs: string
  readonly ccaches: string
  readonly krb5Conf: string
  readonly identifiers: string
}

export function places(folder: string): Places {
  return {
    domain: join(folder, 'domain'),
    keytabs: join(folder, 'keytabs'),
    ccaches: join(folder, 'ccaches'),
    krb5Conf: join(folder, 'krb5.conf'),
    identifiers: join(folder, 'identifiers.json'),
  }
}

/** Writes the configuration of the servers and of their clients into `folder`. */
export function configure(folder: string, layout: Omit<Layout, 'domain'>): void {
  const { domain, krb5Conf: client, ccaches } = places(folder)
  writeFileSync(join(domain, 'smb.conf'), smbConf({ domain, ...layout }))
  writeFileSync(client, krb5Conf(layout.address, join(ccaches, 'default')))
}

/** Makes the domain with all its accounts and keytabs in `folder`, which must be empty. Takes about four seconds. */
export async function provision(folder: string, address: string): Promise<void> {
  const { domain, identifiers } = places(folder)
  for (const path of [domain, ...DOMAIN_FOLDERS.map((name) => join(domain, name))]) {
    mkdirSync(path, { mode: 0o755 })
    if (process.getuid?.() === 0) chownSync(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
  }
  mkdirSync(places(folder).keytabs, { mode: 0o700 })
  mkdirSync(places(folder).ccaches, { mode: 0o700 })
  configure(folder, { address, ldap: false, smb: false })
  const made = await edit(folder, {
    provision: { realm: REALM, workgroup: WORKGROUP, address, password: passwords.administrator },
    create: accounts,
    keytabs,
  })
  writeFileSync(identifiers, JSON.stringify(made))
}

/** What {@link edit} does. */
export interface Edit {
  readonly provision?: object
  readonly create?: readonly object[]
  readonly change?: readonly (readonly [account: string, changes: AccountChanges])[]
  /** Keytabs to write, by name, with their principals. */
  readonly keytabs?: Readonly<Record<string, readonly string[]>>
  /** Whether the servers run as root. */
  readonly privileged?: boolean
}

/**
 * Changes the domain in `folder`, also while it runs, and takes the keytabs over. The script goes to Python as an
 * argument: who runs it need not be able to read this repository.
 */
export async function edit(
  folder: string,
  { keytabs: wanted = {}, privileged = false, ...request }: Edit,
): Promise<Identifiers> {
  const { domain, keytabs: ours, krb5Conf: client } = places(folder)
  const exported = (name: string): string => join(domain, 'export', `${name}.keytab`)
  const files = Object.entries(wanted).map(([name, principals]) => [exported(name), principals])
  const { status, stdout, stderr } = await run(asServer([PYTHON, '-c', readFileSync(SCRIPT, 'utf8')], privileged), {
    env: { PATH: process.env['PATH'], KRB5_CONFIG: client },
    input: JSON.stringify({ folder: domain, ...request, keytabs: Object.fromEntries(files) }),
  })
  if (status !== 0) throw new Error(`the domain could not be made or changed: ${stderr.trim() || stdout.trim()}`)
  for (const name of Object.keys(wanted)) adopt(exported(name), join(ours, `${name}.keytab`))
  return JSON.parse(stdout) as Identifiers
}

/** A keytab of ours in one step, whatever runs with the old one meanwhile. */
function adopt(from: string, to: string): void {
  const next = `${to}.next`
  // A file of ours: copyFileSync of later versions of Node gives the copy to the owner of the original.
  writeFileSync(next, readFileSync(from), { mode: 0o600 })
  renameSync(next, to)
}
