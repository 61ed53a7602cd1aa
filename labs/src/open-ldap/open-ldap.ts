import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client, InvalidCredentialsError, NoSuchObjectError } from 'ldapts'
import { type Daemon, restartable, startDaemon } from '../daemon.ts'
import { accepts, freeAddress, freePort } from '../loopback.ts'
import { asServer, isRoot, run, UNPRIVILEGED } from '../programs.ts'
import { newFolder } from '../template.ts'
import { ADMINISTRATOR, BASE, entries, PEOPLE, SERVICES, slapdConf } from './configuration.ts'

/** What {@link openLdap} takes. */
export interface OpenLdapOptions {
  /** Names of people. Default: `alice`, `bob`. */
  readonly people?: readonly string[] | undefined
  /** Names of service accounts. Default: `svc-1`, `svc-2`. */
  readonly services?: readonly string[] | undefined
}

/** An entry that can log in, with the password that it had at the start. */
export interface LdapAccount {
  readonly dn: string
  readonly password: string
}

/** A running OpenLDAP of its own. */
export interface OpenLdap extends AsyncDisposable {
  /** `ldap://127.x.y.z:<port>` */
  readonly url: string
  /** `dc=corp,dc=example` */
  readonly base: string
  /** Where people are: `ou=people,…`. */
  readonly peopleBase: string
  /** Where service accounts are: `ou=services,…`. */
  readonly servicesBase: string
  /** It may set all passwords, make and delete entries: for Vault's LDAP engine. */
  readonly administrator: LdapAccount
  /** By name: `uid=<name>,ou=people,…`. */
  readonly people: Readonly<Record<string, LdapAccount>>
  /** By name: `uid=<name>,ou=services,…`. */
  readonly services: Readonly<Record<string, LdapAccount>>
  /** The throw-away folder with all that it holds. */
  readonly folder: string
  /** Whether the password is right; wrong too where there is no such entry. Other failures reject. */
  bind(dn: string, password: string): Promise<boolean>
  /** Whether there is such an entry. */
  exists(dn: string): Promise<boolean>
  /** Deletes an entry. */
  remove(dn: string): Promise<void>
  /** Lets it hang: it accepts connections and answers nothing. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Ends it: connections are refused. */
  halt(): Promise<void>
  /** Starts it again, with the same address, port and data. */
  restart(): Promise<void>
  /** Ends it and removes the folder. */
  dispose(): Promise<void>
}

/**
 * A real OpenLDAP on a loopback address of its own, in some hundred milliseconds. Started by root, it runs as `nobody`.
 * It ends with the process that started it, however that ends.
 * @throws Error where it does not start.
 */
export async function openLdap(options: OpenLdapOptions = {}): Promise<OpenLdap> {
  const { people = ['alice', 'bob'], services = ['svc-1', 'svc-2'] } = options
  const folder = newFolder()
  try {
    return await start(folder, accounts(people, PEOPLE), accounts(services, SERVICES))
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
}

type Accounts = Readonly<Record<string, LdapAccount>>

async function start(folder: string, people: Accounts, services: Accounts): Promise<OpenLdap> {
  const host = freeAddress()
  const port = await freePort(host)
  const url = `ldap://${host}:${port}`
  const administrator: LdapAccount = { dn: ADMINISTRATOR, password: randomPassword() }
  await fill(
    folder,
    entries({ administrator: administrator.password, people: passwords(people), services: passwords(services) }),
  )

  const as = async <T>({ dn, password }: LdapAccount, use: (client: Client) => Promise<T>): Promise<T> => {
    const client = new Client({ url, connectTimeout: 5_000, timeout: 5_000 })
    try {
      await client.bind(dn, password)
      return await use(client)
    } finally {
      await client.unbind()
    }
  }
  const begin = (): Promise<Daemon> =>
    startDaemon({
      command: asServer(['slapd', '-d', '0', '-h', url, '-f', join(folder, 'slapd.conf')]),
      env: { PATH: `${process.env['PATH']}:/usr/sbin` },
      output: join(folder, 'slapd.out'),
      isReady: () => accepts(host, port),
    })
  const { pause, resume, halt, restart } = await restartable(begin)
  const dispose = async (): Promise<void> => {
    await halt()
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    url,
    base: BASE,
    peopleBase: PEOPLE,
    servicesBase: SERVICES,
    administrator,
    people,
    services,
    folder,
    bind: async (dn, password) => {
      // An empty password asks for an anonymous login, which is no proof of anything.
      if (password === '') return false
      try {
        return await as({ dn, password }, async () => true)
      } catch (error) {
        if (error instanceof InvalidCredentialsError) return false
        throw error
      }
    },
    exists: (dn) =>
      as(administrator, async (client) => {
        try {
          return (await client.search(dn, { scope: 'base', attributes: ['1.1'] })).searchEntries.length === 1
        } catch (error) {
          if (error instanceof NoSuchObjectError) return false
          throw error
        }
      }),
    remove: (dn) => as(administrator, (client) => client.del(dn)),
    pause,
    resume,
    halt,
    restart,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

function accounts(names: readonly string[], parent: string): Accounts {
  return Object.fromEntries(names.map((name) => [name, { dn: `uid=${name},${parent}`, password: randomPassword() }]))
}

function passwords(all: Accounts): Record<string, string> {
  return Object.fromEntries(Object.entries(all).map(([name, { password }]) => [name, password]))
}

function randomPassword(): string {
  return randomBytes(18).toString('base64url')
}

/** Writes the configuration and the first entries. */
async function fill(folder: string, ldif: string): Promise<void> {
  const data = join(folder, 'data')
  const conf = join(folder, 'slapd.conf')
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(conf, slapdConf(folder))
  if (isRoot()) chownSync(data, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
  const { status, stderr } = await run(asServer(['slapadd', '-q', '-f', conf]), {
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
    input: ldif,
  })
  if (status !== 0) throw new Error(`slapadd failed: ${stderr.trim()}`)
}
