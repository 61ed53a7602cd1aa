import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Daemon, startDaemon } from '../daemon.ts'
import { freeAddress, freePort } from '../loopback.ts'
import { asServer, isRoot, run, UNPRIVILEGED } from '../programs.ts'
import { missingPackages } from '../required.ts'
import { newFolder } from '../template.ts'
import { findServer } from './program.ts'

/** A running Keycloak with nothing but its administrator. */
export interface Keycloak extends AsyncDisposable {
  /** `http://127.x.y.z:<port>`; a realm's issuer is `<origin>/realms/<realm>`. */
  readonly origin: string
  /**
   * Runs a script with `sh`, until a command fails, as an administrator would: `kcadm.sh` is on PATH and logged in, and
   * stays so from one script to the next. Resolves to what it prints.
   * @throws Error with what it said where it fails.
   */
  shell(script: string): Promise<string>
  /** Ends it and removes its folder with all that it holds. */
  dispose(): Promise<void>
}

const PACKAGES = fileURLToPath(new URL('../../keycloak/debian.json', import.meta.url))
const NO_SERVER = 'missing: the server, which "node scripts/setup.mjs" brings'
/** For what runs only for seconds, compiling well takes longer than it saves. */
const QUICK = '-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC'
/** Making its tables takes most of the start, in milliseconds. */
const PATIENCE = 90_000

/** What of the lab's needs this machine lacks, in sentences. */
export function missing(): readonly string[] {
  return [...missingPackages(PACKAGES), ...(findServer() === undefined ? [NO_SERVER] : [])]
}

/**
 * A real Keycloak on a loopback address of its own, without TLS, which keeps everything in memory. Started by root, it
 * runs as `nobody`. It ends with this process, however that ends.
 * @throws Error where it is not there, or does not start.
 */
export async function keycloak(): Promise<Keycloak> {
  const server = findServer()
  if (server === undefined) throw new Error(NO_SERVER)
  const folder = newFolder()
  try {
    return await start(server, folder)
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
}

async function start(server: string, folder: string): Promise<Keycloak> {
  const home = join(folder, 'keycloak')
  // It writes into its own folder.
  await must(['cp', '-a', '--reflink=auto', server, home])
  const user = join(folder, 'user')
  mkdirSync(user, { mode: 0o700 })
  if (isRoot()) {
    const { uid, gid } = UNPRIVILEGED
    await must(['chown', '-R', `${uid}:${gid}`, home])
    chownSync(user, uid, gid)
  }
  const host = freeAddress()
  const origin = `http://${host}:${await freePort(host)}`
  const password = randomBytes(16).toString('hex')
  const daemon = await startServer(home, origin, password, join(folder, 'keycloak.out'))
  const dispose = async (): Promise<void> => {
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const env = {
    PATH: [join(home, 'bin'), process.env['PATH']].join(delimiter),
    HOME: user,
    KC_OPTS: `${QUICK} -Duser.home=${user}`,
    KC_CLI_PASSWORD: password,
  }
  const shell = (script: string): Promise<string> => must(asServer(['sh', '-eu', '-c', script]), env)
  try {
    await shell(`kcadm.sh config credentials --server ${origin} --realm master --user admin`)
  } catch (error) {
    await dispose()
    throw error
  }
  return { origin, shell, dispose, [Symbol.asyncDispose]: dispose }
}

function startServer(home: string, origin: string, password: string, output: string): Promise<Daemon> {
  const { hostname, port } = new URL(origin)
  const listen = ['--http-enabled=true', `--http-host=${hostname}`, `--http-port=${port}`, `--hostname=${origin}`]
  return startDaemon({
    command: asServer([join(home, 'bin/kc.sh'), 'start', '--optimized', '--cache=local', ...listen]),
    env: {
      PATH: process.env['PATH'],
      JAVA_OPTS_APPEND: QUICK,
      KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
      KC_BOOTSTRAP_ADMIN_PASSWORD: password,
    },
    output,
    patience: PATIENCE,
    isReady: () =>
      fetch(`${origin}/realms/master`).then(
        ({ status }) => status === 200,
        () => false,
      ),
  })
}

async function must(command: readonly [string, ...string[]], env?: NodeJS.ProcessEnv): Promise<string> {
  const { status, stdout, stderr } = await run(command, { env })
  if (status !== 0) throw new Error(`${command[0]} failed: ${(stderr || stdout).trim().slice(-2_000)}`)
  return stdout
}
