// Tells the story of the quickstart, and fails where it does not happen as told. With --serve it stays.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileAudit } from '@mcp-delegation/core'
import { identityProvider } from '@mcp-delegation/labs/identity-provider'
import { createNarrator, interruption, listenOnLoopback, serveUntilInterrupted } from '@mcp-delegation/labs/story'
import { createInventory } from './inventory.ts'
import { tellStory } from './story.ts'
import { startWarehouse } from './warehouse.ts'

const SCOPE = 'warehouse'
const USERS = {
  alice: { groups: ['warehouse-staff'] },
  bob: { groups: ['warehouse-readers'] },
  carol: { groups: ['marketing'] },
}
const COLUMNS = ['event', 'subject', 'outcome', 'tool', 'module', 'type', 'principal', 'code']
const ADVICE = 'Log in as alice, bob or carol; any password will do. Then call the tool "stock".'

// Before there is anything to leave behind.
const interrupted = interruption()
const folder = await mkdtemp(join(tmpdir(), 'mcp-delegation-'))
let told: boolean | undefined
try {
  told = await main(join(folder, 'audit.jsonl'))
} finally {
  await rm(folder, { recursive: true })
}
// What an interrupted story has under way would keep the process.
if (told === undefined) process.exit((await interrupted) === 'SIGINT' ? 130 : 143)
process.exitCode = told ? 0 : 1

/** Whether everything happened as told; undefined where the story was interrupted. */
async function main(auditFile: string): Promise<boolean | undefined> {
  const passwords = { alice: randomBytes(18).toString('base64url'), shared: randomBytes(18).toString('base64url') }
  await using warehouse = await startWarehouse({ 'alice.adams': passwords.alice, 'shared-reader': passwords.shared })

  const server = createServer()
  const resource = new URL('/mcp', await listenOnLoopback(server))
  await using provider = await identityProvider({ users: USERS, resource: resource.href, scope: SCOPE })
  await using audit = fileAudit(auditFile)
  const inventory = createInventory({
    resource,
    scope: SCOPE,
    issuer: provider.issuer,
    warehouse: warehouse.origin,
    passwords: { alice: async () => passwords.alice, shared: async () => passwords.shared },
    audit,
  })
  await using registry = inventory.registry
  server.on('request', inventory.answer)

  console.log(`identity provider  ${provider.issuer}`)
  console.log(`MCP server         ${resource}`)
  console.log(`warehouse          ${warehouse.origin}  (knows user names and passwords, and no tokens)`)
  const narrator = createNarrator(auditFile, COLUMNS)
  try {
    const { issuer } = provider
    const secrets = Object.values(passwords)
    const story = tellStory({ narrator, url: resource, issuer, warehouse, registry, auditFile, passwords: secrets })
    const ended = await Promise.race([interrupted, story.then(() => 'told' as const)])
    if (ended !== 'told') return undefined
    console.log(`\n${narrator.expectations - narrator.failures} of ${narrator.expectations} expectations hold.`)
    if (process.argv.includes('--serve')) {
      await registry.unblock({ issuer, subject: 'alice' })
      await serveUntilInterrupted({ url: resource, name: 'quickstart', advice: ADVICE }, narrator, interrupted)
    }
  } finally {
    server.close()
    server.closeAllConnections()
  }
  return narrator.failures === 0
}
