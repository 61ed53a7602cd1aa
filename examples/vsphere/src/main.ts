// Tells the story of the example, and fails where it does not happen as told. With --serve it stays.
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import type { Logger } from '@mcp-delegation/core'
import { identityProvider } from '@mcp-delegation/labs/identity-provider'
import {
  createNarrator,
  type interruption,
  listenOnLoopback,
  runStory,
  serveUntilInterrupted,
} from '@mcp-delegation/labs/story'
import { missing as missingForVault, vault } from '@mcp-delegation/labs/vault'
import { missing as missingForVsphere, vcenter } from '@mcp-delegation/labs/vsphere'
import { LEVELS } from './access.ts'
import { openServer } from './open-server.ts'
import { readSettings } from './settings.ts'
import { INTERN } from './story/calls.ts'
import { CAST, SHARED } from './story/cast.ts'
import { configureVault, ROLE } from './story/configure-vault.ts'
import { tellEnd } from './story/end.ts'
import { tellProcess } from './story/process.ts'
import { tellStory } from './story/story.ts'

const SCOPE = 'vsphere'
const COLUMNS = ['event', 'subject', 'outcome', 'tool', 'resource', 'prompt', 'type', 'principal', 'code']
const ADVICE = `Log in as ${Object.keys(CAST).join(', ')}; any password will do. Then look which tools there are.`

const lacking = [...missingForVault(), ...missingForVsphere()]
if (lacking.length > 0) {
  console.error(lacking.join('\n'))
  process.exit(1)
}

await runStory(main)

/** Whether everything happened as told; undefined where the story was interrupted. */
async function main(auditFile: string, interrupted: ReturnType<typeof interruption>): Promise<boolean | undefined> {
  console.log('starting vCenter and Vault')
  const own = Object.entries(CAST).flatMap(([name, person]) =>
    person.own === undefined ? [] : [[name, person.own] as const],
  )
  const users = [...own.map(([, username]) => username), ...Object.values(SHARED), INTERN.username]
  const starting = [vcenter({ users, clusters: 2, machines: 6 }), vault()] as const
  await Promise.allSettled(starting)
  await using center = await starting[0]
  await using safe = await starting[1]

  const http = createServer()
  const resource = new URL('/mcp', await listenOnLoopback(http))
  await using provider = await identityProvider({ users: CAST as never, resource: resource.href, scope: SCOPE })
  const { issuer } = provider
  const password = (username: string): string => center.users[username]?.password ?? ''
  const accounts = Object.fromEntries(own.map(([name, username]) => [name, { username, password: password(username) }]))
  await using _ = await configureVault(safe, { issuer, audience: resource.href, accounts })

  // What an administrator of the server prepares: secrets in files, another place for the checkpoints, an environment.
  const folder = dirname(auditFile)
  const place = { checkpoints: join(folder, 'elsewhere', 'checkpoints.jws'), secrets: join(folder, 'secrets') }
  await mkdir(join(folder, 'elsewhere'))
  await mkdir(place.secrets)
  const secret = async (name: string, text: string): Promise<string> => {
    const path = join(place.secrets, name)
    await writeFile(path, text, { mode: 0o600 })
    return path
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const environment = {
    MCP_URL: resource.href,
    MCP_LISTEN: resource.host,
    MCP_SCOPE: SCOPE,
    OIDC_ISSUER: issuer,
    VCENTER_URL: center.address,
    VCENTER_CA_FILE: center.ca,
    // One fewer than there will be, so that one has to go.
    VCENTER_MAX_SESSIONS: '5',
    ...Object.fromEntries(LEVELS.map((level) => [`VCENTER_USER_${level}`, SHARED[level]])),
    ...Object.fromEntries(
      await Promise.all(
        LEVELS.map(async (level) => [`VCENTER_PASSWORD_FILE_${level}`, await secret(level, password(SHARED[level]))]),
      ),
    ),
    VAULT_ADDR: safe.address,
    VAULT_CACERT: safe.ca,
    VAULT_JWT_MOUNT: safe.mounts.jwt,
    VAULT_JWT_ROLE: ROLE,
    VAULT_KV_MOUNT: safe.mounts.kv2,
    AUDIT_FILE: auditFile,
    AUDIT_KEY_FILE: await secret('audit-key', String(privateKey.export({ type: 'pkcs8', format: 'pem' }))),
    AUDIT_CHECKPOINT_FILE: place.checkpoints,
  }
  const settings = readSettings(environment)

  const log = createLog()
  await using server = await openServer(settings, log)
  http.on('request', server.answer)
  console.error(server.summary())

  const narrator = createNarrator(auditFile, COLUMNS)
  const scene = { narrator, url: resource, provider, center, auditFile }
  try {
    const story = tellStory(scene).then(() =>
      tellProcess(narrator, { ...environment, MCP_LISTEN: '127.0.0.1:0', AUDIT_FILE: `${auditFile}.process` }),
    )
    const ended = await Promise.race([interrupted, story.then(() => 'told' as const)])
    if (ended !== 'told') {
      log.mute()
      return undefined
    }
    if (process.argv.includes('--serve')) {
      await provider.setClaims('rita', { groups: CAST['rita']?.groups })
      await serveUntilInterrupted({ url: resource, name: 'vsphere', advice: ADVICE }, narrator, interrupted)
    }
  } finally {
    http.close()
    http.closeAllConnections()
  }
  await server[Symbol.asyncDispose]()
  const passwords = [center.administrator, ...Object.values(center.users)].map((login) => login.password)
  await tellEnd(scene, { auditFile, ...place, publicKey, passwords })
  console.log(`\n${narrator.expectations - narrator.failures} of ${narrator.expectations} expectations hold.`)
  return narrator.failures === 0
}

/** Prints warnings and errors, until it is muted. */
function createLog(): Logger & { mute(): void } {
  let muted = false
  const print = (fields: object, message: string): void => {
    if (!muted) console.error(message, fields)
  }
  const mute = (): void => {
    muted = true
  }
  return { debug: () => {}, info: () => {}, warn: print, error: print, mute }
}
