import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Daemon, startDaemon } from '../daemon.ts'
import { accepts, freeAddress } from '../loopback.ts'
import { asServer, type Outcome, run } from '../programs.ts'
import { missingPackages } from '../required.ts'
import { type AccountChanges, type KeytabName, keytabs } from './accounts.ts'
import { answers } from './as-request.ts'
import { KRB5_PORT, REALM } from './configuration.ts'
import { configure, edit, type Identifiers, places } from './directory.ts'
import { type KdcRequest, openKdcLog } from './kdc-log.ts'
import { disguised, unprivilegedBecause } from './privileged.ts'
import { forgetClock, withClock } from './programs.ts'
import { cloneDomain } from './template.ts'

const PACKAGES = fileURLToPath(new URL('../../active-directory/debian.json', import.meta.url))

/** What {@link activeDirectory} takes. */
export interface ActiveDirectoryOptions {
  /** What the KDC's clock differs from ours, as libfaketime says it: `+6m`, `-6m`. Default: nothing. */
  readonly clock?: string | undefined
  /** Whether the domain controller also answers LDAP; needs uid 0. Default: no. */
  readonly ldap?: boolean | undefined
  /** Whether it also shares files, as `//dc1.corp.example/data`; needs uid 0. Default: no. */
  readonly smb?: boolean | undefined
}

/** How {@link ActiveDirectory.run} runs a command. */
export interface RunOptions {
  /** Environment variables besides PATH, KRB5_CONFIG, KRB5CCNAME and SMB_CONF_PATH. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Which of the lab's credential caches is the default one. Default: `default`. */
  readonly ccache?: string | undefined
  /** Its standard input. */
  readonly input?: string | undefined
}

/** A running Active Directory domain of its own. */
export interface ActiveDirectory extends AsyncDisposable {
  /** `CORP.EXAMPLE` */
  readonly realm: string
  /** The address of its own: 127.x.y.z. */
  readonly address: string
  /** `<address>:<port>` */
  readonly kdc: string
  /** Path of a krb5.conf for clients. */
  readonly krb5Conf: string
  /** The throw-away folder with all that the lab holds. */
  readonly folder: string
  readonly domainSid: string
  /** The SID of an account of the table, by sAMAccountName (`FILES$`). */
  sid(account: string): string
  /** The account of the table that has the SID. */
  accountOf(sid: string): string | undefined
  /** Path of a keytab, which belongs to us and is closed to others. */
  keytab(name: KeytabName): string
  /** Path of a credential cache of the lab, which may not exist yet. */
  ccache(name?: string): string
  /** Every request that the KDC answered since the start, or since a mark, oldest first. */
  requests(since?: number): readonly KdcRequest[]
  /** Where the KDC's log ends now. */
  mark(): number
  /** Lets the KDC hang: it accepts connections and answers nothing. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Ends the KDC: connections are refused. */
  halt(): Promise<void>
  /** Starts the KDC again, at the same address and with the same accounts. */
  restart(): Promise<void>
  /** Changes an account of the running domain, by sAMAccountName; the KDC knows it when this resolves. */
  modify(account: string, changes: AccountChanges): Promise<void>
  /** Writes a keytab again, with the keys of now. It replaces the old file in one step. */
  exportKeytab(name: KeytabName): Promise<string>
  /**
   * Runs a client program (`kinit`, `kvno`) with the lab's configuration and a private credential cache. With LDAP or
   * SMB, `dc1.corp.example` is known to it.
   */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** Ends everything and removes the folder. */
  dispose(): Promise<void>
}

/**
 * A real Active Directory domain (Samba) on a loopback address of its own, in about a third of a second; the first one on
 * a machine takes about five. Started by root, the servers run as `nobody`, with LDAP or SMB as root. They end with the
 * process that started them, however it ends.
 * @throws Error where something is missing, with the packages that bring it, and where the domain does not start.
 */
export async function activeDirectory(options: ActiveDirectoryOptions = {}): Promise<ActiveDirectory> {
  const { clock, ldap = false, smb = false } = options
  if (clock !== undefined && !/^[+-]\d+[smh]$/.test(clock)) throw new TypeError('"clock" must be like "+6m" or "-30s"')
  const lacking = [...missing(), ...(ldap || smb ? unprivilegedBecause() : [])]
  if (lacking.length > 0) throw new Error(`the domain can't be started: ${lacking.join('; ')}`)
  const folder = await cloneDomain()
  try {
    return await start(folder, { clock, ldap, smb })
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
}

/** What the lab lacks on this machine, in sentences; nothing where all is there. */
export function missing(): readonly string[] {
  return missingPackages(PACKAGES)
}

interface Choice {
  readonly clock: string | undefined
  readonly ldap: boolean
  readonly smb: boolean
}

async function start(folder: string, { clock, ldap, smb }: Choice): Promise<ActiveDirectory> {
  const { domain, keytabs: keytabFolder, ccaches, krb5Conf, identifiers } = places(folder)
  const address = freeAddress()
  const privileged = ldap || smb
  const hosts = join(folder, 'hosts')
  configure(folder, { address, ldap, smb })
  writeFileSync(hosts, `127.0.0.1 localhost\n${address} dc1.corp.example dc1\n`)
  // Samba's clients remember addresses in their lock directory, and another lab has other ones.
  const smbClientConf = join(folder, 'smb-client.conf')
  writeFileSync(smbClientConf, `[global]\n\tlock directory = ${ccaches}\n`)
  if (privileged) await takeOver(folder)
  const { domainSid, sids } = JSON.parse(readFileSync(identifiers, 'utf8')) as Identifiers
  const log = openKdcLog(join(domain, 'log', 'samba.log'))
  const args = ['-s', join(domain, 'smb.conf'), '-F', '-M', 'single']
  const samba: [string, ...string[]] = clock === undefined ? ['samba', ...args] : withClock(clock, ['samba', ...args])
  const startKdc = async (): Promise<Daemon> => {
    const daemon = await startDaemon({
      command: asServer(privileged ? disguised({ hosts, run: join(folder, 'run') }, samba) : samba, privileged),
      env: { PATH: process.env['PATH'], KRB5_CONFIG: krb5Conf, TDB_NO_FSYNC: '1', TZ: 'UTC' },
      output: join(folder, 'samba.out'),
      isReady: async () =>
        (await answers(address, KRB5_PORT, REALM, 1_000)) &&
        (!ldap || (await accepts(address, 389))) &&
        (!smb || (await accepts(address, 445))),
    })
    log.forget()
    return daemon
  }
  let kdc: Daemon | undefined = await startKdc()
  const halt = async (): Promise<void> => {
    await kdc?.stop()
    if (kdc !== undefined && clock !== undefined) forgetClock(kdc.pid)
    kdc = undefined
  }
  const ccache = (name = 'default'): string => join(ccaches, name)
  const keytab = (name: KeytabName): string => join(keytabFolder, `${name}.keytab`)
  const dispose = async (): Promise<void> => {
    await halt()
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    realm: REALM,
    address,
    kdc: `${address}:${KRB5_PORT}`,
    krb5Conf,
    folder,
    domainSid,
    sid: (account) => {
      const sid = sids[account]
      if (sid === undefined) throw new TypeError(`the lab has no account "${account}"`)
      return sid
    },
    accountOf: (wanted) => Object.entries(sids).find(([, sid]) => sid === wanted)?.[0],
    keytab,
    ccache,
    requests: log.requests,
    mark: log.mark,
    pause: () => kdc?.signal('SIGSTOP'),
    resume: () => kdc?.signal('SIGCONT'),
    halt,
    restart: async () => {
      await halt()
      kdc = await startKdc()
    },
    modify: async (account, changes) => {
      await edit(folder, { change: [[account, changes]], privileged })
    },
    exportKeytab: async (name) => {
      await edit(folder, { keytabs: { [name]: keytabs[name] }, privileged })
      return keytab(name)
    },
    run: (command, args, { env, ccache: name, input } = {}) =>
      run(privileged ? disguised({ hosts }, [command, ...args]) : [command, ...args], {
        env: {
          PATH: process.env['PATH'],
          KRB5_CONFIG: krb5Conf,
          KRB5CCNAME: `FILE:${ccache(name)}`,
          SMB_CONF_PATH: smbClientConf,
          ...env,
        },
        input,
      }),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

/** Makes root the owner of the domain's files, which has them from the unprivileged user. */
async function takeOver(folder: string): Promise<void> {
  const { domain } = places(folder)
  mkdirSync(join(folder, 'run'))
  await run(['chown', '-R', 'root:root', domain])
  chmodSync(join(domain, 'data'), 0o777)
}
