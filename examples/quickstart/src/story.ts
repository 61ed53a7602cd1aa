import { readFileSync } from 'node:fs'
import { connectAs } from '@mcp-delegation/labs/identity-provider'
import { type Answer, callTool, httpStatusOf, type Narrator } from '@mcp-delegation/labs/story'
import type { Client } from '@modelcontextprotocol/client'
import type { createInventory } from './inventory.ts'
import type { Warehouse } from './warehouse.ts'

export interface Scene {
  readonly narrator: Narrator
  /** Where the MCP server is. */
  readonly url: URL
  readonly issuer: string
  readonly warehouse: Warehouse
  readonly registry: ReturnType<typeof createInventory>['registry']
  readonly auditFile: string
  readonly passwords: readonly string[]
}

/** Three users log in and call the same tool; then one of them is blocked. */
export async function tellStory({ narrator, url, issuer, warehouse, registry, ...scene }: Scene): Promise<void> {
  const { chapter, say, expect } = narrator

  async function callTwice(user: string, client: Client): Promise<readonly Answer[]> {
    const answers = [await callStock(client), await callStock(client)]
    for (const { text } of answers) say(`${user} calls the tool: ${text}`)
    return answers
  }

  /** Outcome, module type and principal of the new delegation records. */
  function delegations(): string {
    const records = narrator.records().filter(({ event }) => event === 'delegation')
    return records.map(({ outcome, type, principal }) => `${outcome} ${type} ${principal ?? '-'}`).join(', ')
  }

  chapter('1. alice has an account of her own at the warehouse.')
  const alice = await connectAs('alice', url)
  await callTwice('alice', alice)
  const own = delegations()
  expect('the warehouse saw alice.adams, twice', warehouse.seen.join() === 'alice.adams,alice.adams')
  expect(
    'her credential was issued once and reused once',
    own === 'issued user-account alice.adams, reused user-account alice.adams',
  )

  chapter('2. bob has none, but he is in the group that may use the shared account.')
  const bob = await connectAs('bob', url)
  await callTwice('bob', bob)
  const shared = delegations()
  expect('the warehouse saw shared-reader, twice', warehouse.seen.slice(2).join() === 'shared-reader,shared-reader')
  expect(
    'audit names the shared account as what it is',
    shared === 'issued service-account shared-reader, reused service-account shared-reader',
  )

  chapter('3. carol has none either, and is not in that group.')
  const carol = await connectAs('carol', url)
  const answers = await callTwice('carol', carol)
  delegations()
  expect(
    'both calls were refused',
    answers.every(({ code }) => code === 'ERR_DELEGATION_DENIED'),
  )
  expect('the warehouse was not asked', warehouse.seen.length === 4)

  chapter('4. alice is blocked. Her token is still good for minutes.')
  const { credentials } = await registry.block({ issuer, subject: 'alice' })
  const refused = await httpStatusOf(() => callStock(alice))
  const refusedAgain = await httpStatusOf(() => connectAs('alice', url))
  const bobs = await callStock(bob)
  say(`alice calls the tool: HTTP ${refused}`)
  say(`alice logs in again: HTTP ${refusedAgain}`)
  say(`bob calls the tool: ${bobs.text}`)
  const after = delegations()
  expect('her cached credential was dropped', credentials === 1)
  expect('his was not', after === 'reused service-account shared-reader')
  expect('she was refused at once', refused === 403)
  expect('a new token does not help her', refusedAgain === 403)
  expect('the warehouse did not see her again', warehouse.seen.filter((name) => name === 'alice.adams').length === 2)

  chapter('5. What is on record?')
  const audit = readFileSync(scene.auditFile, 'utf8')
  expect('audit holds no password', !scene.passwords.some((password) => audit.includes(password)))
  expect('audit holds no token', !/eyJ[\w-]+\.eyJ/.test(audit))

  for (const client of [alice, bob, carol]) await client.close()
}

function callStock(client: Client): Promise<Answer> {
  return callTool(client, 'stock', { item: 'bolts' })
}
