// Tells the story of the example, and fails where it does not happen as told. With --serve it stays.
import { createServer } from 'node:http'
import { fileAudit } from '@mcp-delegation/core'
import { missing } from '@mcp-delegation/labs/active-directory'
import { identityProvider } from '@mcp-delegation/labs/identity-provider'
import {
  createNarrator,
  type interruption,
  listenOnLoopback,
  runStory,
  serveUntilInterrupted,
} from '@mcp-delegation/labs/story'
import { startDomain } from './domain.ts'
import { createIntranet } from './intranet.ts'
import { createOperatorLog } from './operator-log.ts'
import { tellStory } from './story.ts'

const SCOPE = 'intranet'
const NAMES = ['alice', 'bob', 'carol', 'dora', 'administrator']
const USERS = Object.fromEntries(NAMES.map((name) => [name, { upn: `${name}@corp.example` }]))
const COLUMNS = ['event', 'subject', 'outcome', 'tool', 'target', 'principal', 'code']
const ADVICE = 'Log in as alice, bob, carol, dora or administrator; any password will do. Then call the tools.'

const lacking = missing()
if (lacking.length > 0) {
  console.error(lacking.join('\n'))
  process.exit(1)
}

await runStory(main)

/** Whether everything happened as told; undefined where the story was interrupted. */
async function main(auditFile: string, interrupted: ReturnType<typeof interruption>): Promise<boolean | undefined> {
  console.log('starting an Active Directory domain')
  await using domain = await startDomain()
  const { lab, web, run } = domain

  const server = createServer()
  const resource = new URL('/mcp', await listenOnLoopback(server))
  await using provider = await identityProvider({ users: USERS, resource: resource.href, scope: SCOPE })
  await using audit = fileAudit(auditFile)
  const { issuer } = provider
  const log = createOperatorLog()
  const keytabPath = lab.keytab('svc-mcp')
  const intranet = createIntranet({ resource, scope: SCOPE, issuer, kdc: lab.kdc, keytabPath, web, run, audit, log })
  await using registry = intranet.registry
  server.on('request', intranet.answer)

  console.log(`identity provider  ${issuer}`)
  console.log(`MCP server         ${resource}  (acts as svc-mcp@${lab.realm}, with its keytab)`)
  console.log(`domain controller  ${lab.kdc}  (Samba)`)
  console.log(`web service        ${web}  (Apache with mod_auth_gssapi: knows tickets, and no tokens)`)
  const narrator = createNarrator(auditFile, COLUMNS)
  try {
    const story = tellStory({ narrator, url: resource, issuer, domain, registry, log, auditFile })
    const ended = await Promise.race([interrupted, story.then(() => 'told' as const)])
    if (ended !== 'told') {
      log.mute()
      return undefined
    }
    console.log(`\n${narrator.expectations - narrator.failures} of ${narrator.expectations} expectations hold.`)
    if (domain.notRun.length > 0) console.log(`Not run: ${domain.notRun.join('; ')}.`)
    if (process.argv.includes('--serve')) {
      await registry.unblock({ issuer, subject: 'alice' })
      await serveUntilInterrupted({ url: resource, name: 'intranet', advice: ADVICE }, narrator, interrupted)
    }
  } finally {
    server.close()
    server.closeAllConnections()
  }
  return narrator.failures === 0
}
