import { readFileSync } from 'node:fs'
import { connectAs } from '@mcp-delegation/labs/identity-provider'
import { callTool, httpStatusOf, type Narrator } from '@mcp-delegation/labs/story'
import { unstoppableBecause, type VaultLab } from '@mcp-delegation/labs/vault'
import type { Client } from '@modelcontextprotocol/client'
import type { createBilling } from './billing.ts'
import type { OperatorLog } from './operator-log.ts'
import { describeStock, stockOf, stockWhen, usersOf } from './stock.ts'

export interface Scene {
  readonly narrator: Narrator
  /** Where the MCP server is. */
  readonly url: URL
  readonly issuer: string
  readonly lab: VaultLab
  readonly registry: ReturnType<typeof createBilling>['registry']
  readonly log: OperatorLog
}

interface Users {
  readonly alice: Client
  readonly bob: Client
  readonly carol: Client
}

/** Two users have a database user of their own, one shares an account, one has nothing; then things go wrong. */
export async function tellStory(scene: Scene): Promise<void> {
  const { url } = scene
  const users = {
    alice: await connectAs('alice', url),
    bob: await connectAs('bob', url),
    carol: await connectAs('carol', url),
  }
  await asThemselves(scene, users)
  await changing(scene, users)
  await asReader(scene, users)
  await asNobody(scene)
  await block(scene, users)
  await seal(scene, users)
  for (const client of Object.values(users)) await client.close()
}

async function asThemselves({ narrator, lab }: Scene, users: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('1. alice and bob ask a database that has no users for them. Vault makes one for each.')
  const expected = []
  for (const user of ['alice', 'bob'] as const) {
    const { text: name } = await callTool(users[user], 'whoami')
    const { text: invoices } = await callTool(users[user], 'list_invoices')
    say(`${user} calls two tools. PostgreSQL sees ${name}, and shows:`)
    for (const line of invoices.split('\n')) say(`  ${line}`)
    const roles = await lab.postgresql.query(
      'SELECT m.roleid::regrole::text AS role FROM pg_auth_members m WHERE m.member = $1::regrole',
      [`"${name}"`],
    )
    expect(`PostgreSQL saw a user that Vault made for ${user}`, /^v-/.test(name) && name.includes(`-${user}-`))
    expect(`who is a member of the role ${user}, and of no other`, roles.map(({ role }) => role).join() === user)
    expect(`${user} saw the invoices of ${user}, and no others`, salespeopleIn(invoices) === user)
    expected.push(`issued vault ${name}`, `reused vault ${name}`)
  }
  expect('audit names the users as PostgreSQL saw them', delegations(narrator) === expected.join(', '))
  const stock = await stockOf(lab)
  say(`Vault has made ${describeStock(stock)}`)
  expect(
    'the second call of each was served from the cache',
    [stock.leases, stock.tokens, stock.users].every(({ length }) => length === 2),
  )
}

async function changing({ narrator }: Scene, { alice }: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('2. Whatever the model asks for, PostgreSQL decides.')
  const own = await callTool(alice, 'mark_paid', { number: 2 })
  const bobs = await callTool(alice, 'mark_paid', { number: 3 })
  say(`alice says that invoice 2 was paid: ${own.text}`)
  say(`alice says that invoice 3 was paid, one of bob's: ${bobs.text}`)
  narrator.records()
  expect('she can change what is hers', own.text.endsWith('paid'))
  expect('what is not hers does not exist for her', bobs.text === 'there is no invoice 3')
}

async function asReader({ narrator, lab }: Scene, { carol }: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('3. carol is not in the table of those who have a role in Vault, but her group may use a shared account.')
  const before = await stockOf(lab)
  const { text: name } = await callTool(carol, 'whoami')
  const { text: invoices } = await callTool(carol, 'list_invoices')
  const { text: change } = await callTool(carol, 'mark_paid', { number: 1 })
  say(`carol calls three tools. PostgreSQL sees ${name}, and shows:`)
  for (const line of invoices.split('\n')) say(`  ${line}`)
  say(`carol says that invoice 1 was paid: ${change}`)
  const records = delegations(narrator)
  expect('PostgreSQL saw the shared account', name === 'billing_reader')
  expect('which sees all invoices', salespeopleIn(invoices) === 'alice,bob,erin')
  expect('and can change none of them', change === 'PostgreSQL refuses: permission denied for table invoices')
  expect(
    'audit names the shared account as what it is',
    records === ['issued', 'reused', 'reused'].map((how) => `${how} service-account billing_reader`).join(', '),
  )
  expect('Vault made nothing for her', JSON.stringify(await stockOf(lab)) === JSON.stringify(before))
}

async function asNobody({ narrator, url, lab }: Scene): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('4. dora has logged in as they have, but is neither in the table nor in the group.')
  const before = await stockOf(lab)
  const dora = await connectAs('dora', url)
  const { text, code } = await callTool(dora, 'list_invoices')
  await dora.close()
  say(`the model sees: ${text}`)
  const records = delegations(narrator)
  expect('she is refused', code === 'ERR_DELEGATION_DENIED' && records === 'refused service-account -')
  expect('Vault made nothing for her', JSON.stringify(await stockOf(lab)) === JSON.stringify(before))
}

async function block({ narrator, url, issuer, lab, registry }: Scene, { alice, bob }: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('5. alice is blocked. Her token is still good for minutes, as is her password in PostgreSQL.')
  const start = performance.now()
  const { credentials } = await registry.block({ issuer, subject: 'alice' })
  const stock = await stockWhen(lab, ({ leases, tokens, users }) => leases.length + tokens.length + users.length === 3)
  const took = Math.round(performance.now() - start)
  const refused = await httpStatusOf(() => callTool(alice, 'list_invoices'))
  const refusedAgain = await httpStatusOf(() => connectAs('alice', url))
  const { text: bobs } = await callTool(bob, 'whoami')
  say(`after ${took} ms there are ${describeStock(stock)}`)
  say(`alice calls a tool: HTTP ${refused}`)
  say(`alice logs in again: HTTP ${refusedAgain}`)
  say(`bob calls a tool. PostgreSQL sees ${bobs}`)
  narrator.records()
  expect('her credential was ended', credentials === 1)
  expect('PostgreSQL has no user of hers any more', stock.users.join() === bobs)
  expect('Vault has neither her lease nor her token', stock.leases.length === 1 && stock.tokens.length === 1)
  expect('she was refused at once', refused === 403)
  expect('a new token does not help her', refusedAgain === 403)
}

async function seal({ narrator, url, lab, log }: Scene, { bob, carol }: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('6. Vault is sealed: it answers nothing until somebody brings its key.')
  const reasons = unstoppableBecause()
  if (reasons.length > 0) {
    say(`NOT RUN: ${reasons.join('; ')}`)
    return
  }
  const before = await usersOf(lab)
  const erin = await connectAs('erin', url)
  await lab.seal()
  const { text: bobs } = await callTool(bob, 'list_invoices')
  const { text: carols } = await callTool(carol, 'whoami')
  const { text: erins, code } = await callTool(erin, 'whoami')
  say(`bob calls a tool. PostgreSQL shows: ${bobs}`)
  say(`carol calls a tool. PostgreSQL sees ${carols}`)
  say('erin, who is in the table and in the group of readers, calls for the first time:')
  say(`  the model sees:      ${erins}`)
  say(`  the operator reads:  ${log.failures.at(-1)?.message}`)
  const records = delegations(narrator)
  expect(
    'bob was served from the cache',
    salespeopleIn(bobs) === 'bob' && records.startsWith(`reused vault ${before.join()}`),
  )
  expect('carol was served, whose account has nothing to do with Vault', carols === 'billing_reader')
  expect('erin was not', code === 'ERR_DELEGATION_UNAVAILABLE')
  expect("an outage gives her nobody else's account", !records.includes('issued service-account'))
  expect('the operator reads why', log.failures.at(-1)?.status === 503)

  await lab.unseal()
  const { text: name } = await callTool(erin, 'whoami')
  await erin.close()
  say(`Vault is unsealed. erin calls again. PostgreSQL sees ${name}`)
  const after = delegations(narrator)
  expect('it works again, and nothing was restarted', name.includes('-erin-') && after === `issued vault ${name}`)
}

/** The last chapter, when the MCP server has ended: what it leaves behind, and what is on record. */
export async function tellEnd(
  scene: Pick<Scene, 'narrator' | 'lab'>,
  auditFile: string,
  passwords: readonly string[],
): Promise<void> {
  const { narrator, lab } = scene
  const { chapter, say, expect } = narrator
  chapter('7. The MCP server ends. What is left?')
  const stock = await stockWhen(lab, ({ leases, tokens, users }) => leases.length + tokens.length + users.length === 0)
  say(`there are ${describeStock(stock)}`)
  expect('no lease', stock.leases.length === 0)
  expect('no Vault token', stock.tokens.length === 0)
  expect('no database user', stock.users.length === 0)
  const audit = readFileSync(auditFile, 'utf8')
  const secrets = [...passwords, ...secretsIn(readFileSync(lab.issuedFile, 'utf8'))]
  expect('audit holds no access token', !/eyJ[\w-]+\.eyJ/.test(audit))
  expect(
    `audit holds none of the ${secrets.length} passwords and Vault tokens of this story`,
    !secrets.some((secret) => audit.includes(secret)),
  )
}

/** Whose invoices are listed, each name once. */
function salespeopleIn(invoices: string): string {
  return [...new Set(Array.from(invoices.matchAll(/ of (\w+) to /g), ([, name]) => name))].join()
}

/** Outcome, module type and principal of the new delegation records. */
function delegations(narrator: Narrator): string {
  const records = narrator.records().filter(({ event }) => event === 'delegation')
  return records.map(({ outcome, type, principal }) => `${outcome} ${type} ${principal ?? '-'}`).join(', ')
}

/** The passwords and tokens in what the lab's server wrote down of its answers, each once. */
function secretsIn(issued: string): ReadonlySet<string> {
  return new Set(Array.from(issued.matchAll(/"(?:password|client_token)":"([^"]{8,})"/g), ([, secret = '']) => secret))
}
