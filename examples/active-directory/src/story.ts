import { existsSync, readFileSync } from 'node:fs'
import type { KdcRequest } from '@mcp-delegation/labs/active-directory'
import { connectAs } from '@mcp-delegation/labs/identity-provider'
import { callTool, httpStatusOf, type Narrator } from '@mcp-delegation/labs/story'
import type { Client } from '@modelcontextprotocol/client'
import type { Domain } from './domain.ts'
import type { createIntranet } from './intranet.ts'
import type { OperatorLog } from './operator-log.ts'

export interface Scene {
  readonly narrator: Narrator
  /** Where the MCP server is. */
  readonly url: URL
  readonly issuer: string
  readonly domain: Domain
  readonly registry: ReturnType<typeof createIntranet>['registry']
  readonly log: OperatorLog
  readonly auditFile: string
}

/** Those whom the domain protects, by the name that they log in with, with what the operator is to read. */
const REFUSED = [
  { user: 'carol', who: 'her account is sensitive and cannot be delegated', reason: 'user-not-delegated' },
  { user: 'dora', who: 'she is in Domain Admins', reason: 'user-privileged' },
  { user: 'administrator', who: 'the built-in administrator of the domain', reason: 'user-privileged' },
] as const

/** Two users ask the backends of the domain, others are refused, and one is blocked. */
export async function tellStory(scene: Scene): Promise<void> {
  const users = { alice: await connectAs('alice', scene.url), bob: await connectAs('bob', scene.url) }
  await askApache(scene, users)
  await askDirectoryAndShare(scene, users)
  await refuse(scene)
  await block(scene, users)
  for (const client of Object.values(users)) await client.close()

  const { chapter, expect } = scene.narrator
  chapter('5. What is on record?')
  const audit = readFileSync(scene.auditFile, 'utf8')
  expect('audit holds no access token', !/eyJ[\w-]+\.eyJ/.test(audit))
  expect('audit holds no ticket', !/Negotiate|YI[\w+/]{40}/.test(audit))
}

interface Users {
  readonly alice: Client
  readonly bob: Client
}

async function askApache({ narrator, domain: { lab } }: Scene, users: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('1. alice and bob ask a web service of the domain, which lets nobody in without a Kerberos ticket.')
  for (const user of ['alice', 'bob'] as const) {
    const cold = lab.mark()
    const first = await callTool(users[user], 'whoami_intranet')
    const tickets = ofUsers(lab.requests(cold))
    const warm = lab.mark()
    const second = await callTool(users[user], 'whoami_intranet')
    const more = lab.requests(warm)
    say(`${user} calls the tool twice. Apache sees: ${first.text}, ${second.text}`)
    for (const request of tickets) say(`  the KDC's log: ${request}`)
    const { realm } = lab
    expect(
      `Apache saw ${user}, twice`,
      [first.text, second.text].every((text) => text === `${user}@${realm}`),
    )
    expect(
      `the domain issued two tickets in the name of ${user}, as svc-mcp asked`,
      tickets.join() ===
        `S4U2Self of ${user}@${realm} for svc-mcp@${realm}: SUCCESS,S4U2Proxy of ${user}@${realm} for HTTP/backend.corp.example@${realm}: SUCCESS`,
    )
    expect('the second call took no trip to the KDC', more.length === 0)
  }
  expect(
    'audit says who acted as whom',
    delegations(narrator) ===
      'issued alice@CORP.EXAMPLE, reused alice@CORP.EXAMPLE, issued bob@CORP.EXAMPLE, reused bob@CORP.EXAMPLE',
  )
}

async function askDirectoryAndShare({ narrator, domain, log }: Scene, users: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  const { lab, caches } = domain
  chapter('2. They ask the directory and a file share, through ldapsearch and smbclient.')
  if (domain.run === undefined) {
    say(`NOT RUN on this machine: ${domain.notRun.join('; ')}`)
    return
  }
  for (const user of ['alice', 'bob'] as const) {
    const { text: account } = await callTool(users[user], 'whoami_ldap')
    const { text: note } = await callTool(users[user], 'leave_note')
    const { text: notes } = await callTool(users[user], 'list_share')
    const sid = lab.sid(user)
    say(`${user} asks. LDAP sees: ${account}. The share's notes:`)
    for (const line of notes.split('\n')) say(`  ${line}`)
    expect(`the directory saw ${user}`, account === user)
    expect(`the new note belongs to ${user}: ${sid}`, notes.split('\n').includes(`${note} of ${sid}`))
  }
  const records = narrator.records()
  const exports = records.filter(({ event }) => event === 'export')
  expect(
    'every credential cache that was handed to a program is on record',
    exports.map(({ outcome, principal }) => `${outcome} ${principal}`).join() ===
      [...Array(3).fill('exported alice@CORP.EXAMPLE'), ...Array(3).fill('exported bob@CORP.EXAMPLE')].join(),
  )
  expect('each was a file of its own', caches.size === 6)
  expect('none of them is left', ![...caches].some((path) => existsSync(path)))
  expect('nobody was refused', log.refusals.length === 0)
}

async function refuse({ narrator, url, domain: { lab }, log }: Scene): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('3. Those whom the domain protects are not acted for, though they have logged in.')
  for (const { user, who, reason } of REFUSED) {
    const client = await connectAs(user, url)
    const start = lab.mark()
    const known = log.refusals.length
    const { text, code } = await callTool(client, 'whoami_intranet')
    const refusal = log.refusals[known]
    say(`${user}: ${who}`)
    say(`  the model sees:      ${text}`)
    say(`  the operator reads:  ${refusal?.reason}: ${refusal?.message}`)
    expect(`${user} is refused`, code === 'ERR_DELEGATION_DENIED')
    expect('the model reads no name', !text.toLowerCase().includes(user))
    expect(`the operator reads why: ${reason}`, refusal?.reason === reason && refusal.remedy.includes(user))
    expect(
      'no ticket for the web service was asked for',
      lab.requests(start).every(({ kind }) => kind !== 'S4U2Proxy'),
    )
    await client.close()
  }
  expect('audit says who was refused', delegations(narrator) === REFUSED.map(({ user }) => refusedAs(user)).join(', '))
}

async function block({ narrator, url, issuer, domain, registry }: Scene, { alice, bob }: Users): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter("4. alice is blocked. Her token is still good for minutes, and the domain's tickets for hours.")
  const start = domain.lab.mark()
  const { credentials } = await registry.block({ issuer, subject: 'alice' })
  const refused = await httpStatusOf(() => callTool(alice, 'whoami_intranet'))
  const refusedAgain = await httpStatusOf(() => connectAs('alice', url))
  const bobs = await callTool(bob, 'whoami_intranet')
  say(`alice calls the tool: HTTP ${refused}`)
  say(`alice logs in again: HTTP ${refusedAgain}`)
  say(`bob calls the tool. Apache sees: ${bobs.text}`)
  const after = delegations(narrator)
  const backends = domain.run === undefined ? 1 : 3
  expect(`her tickets for ${backends === 1 ? 'one backend' : 'three backends'} were ended`, credentials === backends)
  expect('she was refused at once', refused === 403)
  expect('a new token does not help her', refusedAgain === 403)
  expect('his ticket works on', bobs.text === 'bob@CORP.EXAMPLE' && after === 'reused bob@CORP.EXAMPLE')
  expect('the KDC was not asked', domain.lab.requests(start).length === 0)
}

/** What the KDC's log says of tickets of users, besides those of svc-mcp itself. */
function ofUsers(requests: readonly KdcRequest[]): readonly string[] {
  return requests
    .filter(({ kind }) => kind === 'S4U2Self' || kind === 'S4U2Proxy')
    .map(({ kind, impersonated, server, outcome }) => `${kind} of ${impersonated} for ${server}: ${outcome}`)
}

/** Outcome and principal of the new delegation records. */
function delegations(narrator: Narrator): string {
  const records = narrator.records().filter(({ event }) => event === 'delegation')
  return records.map(({ outcome, principal }) => `${outcome} ${principal}`).join(', ')
}

function refusedAs(user: string): string {
  return `refused ${user}@CORP.EXAMPLE`
}
