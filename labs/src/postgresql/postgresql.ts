import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { type Daemon, startDaemon } from '../daemon.ts'
import { freeAddress, freePort } from '../loopback.ts'
import { asServer } from '../programs.ts'
import { killAll, signalAll } from './processes.ts'
import { ADMINISTRATOR, cloneDatabase, DATABASE, type Passwords, SUPERUSER, serverProgram } from './template.ts'

/** Who logs in, and how. */
export interface Login {
  readonly username: string
  readonly password: string
}

/** A running PostgreSQL of its own. Passwords are asked for by SCRAM, over TCP alone. */
export interface PostgreSql extends AsyncDisposable {
  /** An address of the loopback network: 127.x.y.z. */
  readonly host: string
  readonly port: number
  /** The name of the one database. */
  readonly database: string
  /** The role that may make and drop others, which is not a superuser: for Vault's database engine. */
  readonly administrator: Login
  /** What Vault's database engine takes as `connection_url`. */
  readonly connectionUrl: string
  /** The throw-away folder with all that it holds. */
  readonly folder: string
  /** Runs one statement as the superuser, in a connection of its own. Returns the rows. */
  query(sql: string, parameters?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  /** A connection as somebody; the caller ends it. Rejects with what the server says where it lets nobody in. */
  connect(login: Login): Promise<Client>
  /** Whether the password lets `username` in; other failures reject. */
  accepts(login: Login): Promise<boolean>
  /** Lets it hang: it accepts connections and answers nothing, those that are open included. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Kills it as a crash would. */
  kill(): Promise<void>
  /** Ends it in order: connections are closed, new ones refused. */
  halt(): Promise<void>
  /** Starts it again, with the same address, port and data. */
  restart(): Promise<void>
  /** Ends it and removes the folder. */
  dispose(): Promise<void>
}

/** SQLSTATE of a wrong password, and of a role that may not log in or is not there. */
const REFUSED = new Set(['28P01', '28000'])

/**
 * A real PostgreSQL on a loopback address of its own, in about half a second; the first one on a machine takes some
 * seconds. Started by root, it runs as `nobody`. It ends with the process that started it, however that ends.
 * @throws Error where it is not installed, or does not start.
 */
export async function postgresql(): Promise<PostgreSql> {
  const { folder, ...passwords } = await cloneDatabase()
  try {
    return await start(folder, passwords)
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
}

async function start(folder: string, passwords: Passwords): Promise<PostgreSql> {
  const host = freeAddress()
  const port = await freePort(host)
  const connect = async (login: Login): Promise<Client> => {
    const client = new Client({ host, port, database: DATABASE, user: login.username, password: login.password })
    // What happens to a connection shows in the statements on it; without a listener it would end the process.
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const query = async (sql: string, parameters: readonly unknown[] = []): Promise<Record<string, unknown>[]> => {
    const client = await connect({ username: SUPERUSER, password: passwords.superuser })
    try {
      return (await client.query(sql, [...parameters])).rows
    } finally {
      await client.end()
    }
  }
  const settings = [`listen_addresses=${host}`, `port=${port}`, 'unix_socket_directories=', 'fsync=off']
  const begin = (): Promise<Daemon> =>
    startDaemon({
      command: asServer([
        serverProgram('postgres'),
        '-D',
        join(folder, 'data'),
        ...settings.flatMap((setting) => ['-c', setting]),
      ]),
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      output: join(folder, 'postgres.out'),
      isReady: () =>
        query('SELECT 1').then(
          () => true,
          () => false,
        ),
    })
  let daemon: Daemon | undefined = await begin()
  const halt = async (): Promise<void> => {
    const ending = daemon
    daemon = undefined
    if (ending === undefined) return
    signalAll(ending, 'SIGCONT')
    // A fast shutdown: it does not wait for its clients to go.
    ending.signal('SIGINT')
    await ending.stop()
  }
  const dispose = async (): Promise<void> => {
    await halt()
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    host,
    port,
    database: DATABASE,
    administrator: { username: ADMINISTRATOR, password: passwords.administrator },
    connectionUrl: `postgresql://{{username}}:{{password}}@${host}:${port}/${DATABASE}?sslmode=disable`,
    folder,
    query,
    connect,
    accepts: async (login) => {
      try {
        await (await connect(login)).end()
        return true
      } catch (error) {
        if (REFUSED.has(String((error as { code?: unknown }).code))) return false
        throw error
      }
    },
    pause: () => daemon !== undefined && signalAll(daemon, 'SIGSTOP'),
    resume: () => daemon !== undefined && signalAll(daemon, 'SIGCONT'),
    kill: async () => {
      const ending = daemon
      daemon = undefined
      if (ending !== undefined) await killAll(ending)
    },
    halt,
    restart: async () => {
      await halt()
      daemon = await begin()
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}
