// Tells the story of the example, and fails where it does not happen as told. With --serve it stays.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { fileAudit } from '@mcp-delegation/core'
import { identityProvider } from '@mcp-delegation/labs/identity-provider'
import {
  createNarrator,
  type interruption,
  listenOnLoopback,
  runStory,
  serveUntilInterrupted,
} from '@mcp-delegation/labs/story'
import { missing, unstoppableBecause, vault } from '@mcp-delegation/labs/vault'
import { createBilling } from './billing.ts'
import { configureVault } from './configure-vault.ts'
import { createTables } from './create-tables.ts'
import { createOperatorLog } from './operator-log.ts'
import { tellEnd, tellStory } from './story.ts'

const SCOPE = 'billing'
const USERS = {
  alice: { groups: ['sales'] },
  bob: { groups: ['sales'] },
  carol: { groups: ['billing-readers'] },
  dora: { groups: ['marketing'] },
  erin: { groups: ['sales', 'billing-readers'] },
}
/** The administrator's table: those who have a role in Vault's database engine, and its name. */
const SALESPEOPLE = { alice: 'alice', bob: 'bob', erin: 'erin' }
const COLUMNS = ['event', 'subject', 'outcome', 'tool', 'type', 'principal', 'code']
const ADVICE = 'Log in as alice, bob, carol, dora or erin; any password will do. Then call the tools.'

const lacking = missing()
if (lacking.length > 0) {
  console.error(lacking.join('\n'))
  process.exit(1)
}

await runStory(main)

/** Whether everything happened as told; undefined where the story was interrupted. */
async function main(auditFile: string, interrupted: ReturnType<typeof interruption>): Promise<boolean | undefined> {
  console.log('starting Vault and PostgreSQL')
  await using lab = await vault({ postgresql: true })
  const { postgresql, address, ca } = lab

  const server = createServer()
  const resource = new URL('/mcp', await listenOnLoopback(server))
  await using provider = await identityProvider({ users: USERS, resource: resource.href, scope: SCOPE })
  const { issuer } = provider
  const salespeople = Object.values(SALESPEOPLE)
  const readerPassword = randomBytes(18).toString('base64url')
  await createTables(postgresql, { salespeople, readerPassword })
  await using login = await configureVault(lab, { issuer, audience: resource.href, salespeople })

  await using audit = fileAudit(auditFile)
  const log = createOperatorLog()
  const billing = createBilling({
    resource,
    scope: SCOPE,
    issuer,
    vault: { address, ca, login: { mount: login.mount, role: login.role }, databaseMount: lab.mounts.database },
    salespeople: SALESPEOPLE,
    postgresql,
    readerPassword: async () => readerPassword,
    audit,
    log,
  })
  await using registry = billing.registry
  server.on('request', billing.answer)

  console.log(`identity provider  ${issuer}`)
  console.log(`MCP server         ${resource}`)
  console.log(`Vault              ${address}  (trusts the identity provider's tokens for the MCP server)`)
  console.log(`PostgreSQL         ${postgresql.host}:${postgresql.port}  (knows its own users, and no tokens)`)
  const narrator = createNarrator(auditFile, COLUMNS)
  try {
    const story = tellStory({ narrator, url: resource, issuer, lab, registry, log })
    const ended = await Promise.race([interrupted, story.then(() => 'told' as const)])
    if (ended !== 'told') {
      log.mute()
      return undefined
    }
    if (process.argv.includes('--serve')) {
      await registry.unblock({ issuer, subject: 'alice' })
      await serveUntilInterrupted({ url: resource, name: 'billing', advice: ADVICE }, narrator, interrupted)
    }
  } finally {
    server.close()
    server.closeAllConnections()
  }
  await registry[Symbol.asyncDispose]()
  await tellEnd({ narrator, lab }, auditFile, [readerPassword])
  console.log(`\n${narrator.expectations - narrator.failures} of ${narrator.expectations} expectations hold.`)
  const notRun = unstoppableBecause()
  if (notRun.length > 0) console.log(`Not run: ${notRun.join('; ')}.`)
  return narrator.failures === 0
}
