import { readFileSync } from 'node:fs'
import type { WrittenRecord } from '@mcp-delegation/labs/story'
import type { VcenterEvent } from '@mcp-delegation/labs/vsphere'
import type { Client } from '@modelcontextprotocol/client'
import { vcenter } from '../vcenter/index.ts'
import { callsOf, INTERN } from './calls.ts'
import { CAST } from './cast.ts'
import { call } from './client-calls.ts'
import { EXPECTED_TOOLS, may, USERS } from './expected-access.ts'
import { type Clients, loggedIn, type Scene } from './scene.ts'

/** What vCenter's event log is to say of each user's account, written down by hand. */
const POWER = [
  'VmGuestShutdownEvent',
  'VmPoweredOffEvent',
  'VmPoweredOnEvent',
  'VmStartingEvent',
  'VmStoppingEvent',
  'VmSuspendedEvent',
  'VmSuspendingEvent',
]
const LIFECYCLE = [
  'VmBeingClonedEvent',
  'VmBeingCreatedEvent',
  'VmClonedEvent',
  'VmCreatedEvent',
  'VmInstanceUuidAssignedEvent',
  'VmReconfiguredEvent',
  'VmRemovedEvent',
  'VmUuidAssignedEvent',
]
const CHANGES: Readonly<Record<string, readonly string[]>> = {
  rita: [],
  otto: POWER,
  vera: [...POWER, ...LIFECYCLE],
  hugo: [...POWER, ...LIFECYCLE],
  sara: [...POWER, ...LIFECYCLE],
  nina: [],
}

/** Every user calls every tool, and each is allowed or refused as the table says. */
export async function tellEverything(scene: Scene, clients: Clients): Promise<void> {
  const { narrator, center } = scene
  const { chapter, say, expect } = narrator
  chapter('2. Every user calls every tool, all of them at once.')
  const intern = vcenter({ url: center.address, ca: readFileSync(center.ca, 'utf8') })
  const session = await intern.login(INTERN.username, center.users[INTERN.username]?.password ?? '')
  const start = performance.now()
  // All at once, as users are.
  const all = await Promise.all(USERS.map(async (user) => ({ user, ...(await callEverything(user, clients[user])) })))
  for (const { user, allowed, wrong } of all) {
    say(`${user}: ${allowed} tools did what they should, ${EXPECTED_TOOLS.length - allowed} were refused`)
    for (const line of wrong) say(`  ${line}`)
    expect(`${user} may do what the table says, and nothing else`, wrong.length === 0)
  }
  say(`${USERS.length * EXPECTED_TOOLS.length} calls took ${Math.round(performance.now() - start)} ms`)
  const names = await loggedIn(center)
  say(`logged in at vCenter: ${names.join(', ')}`)
  const seen = USERS.flatMap((user) => CAST[user]?.seen ?? []).sort()
  expect(
    'each who may has one session at vCenter, as themselves or as the account of their level',
    names.join() === seen.join(),
  )
  const recorded = narrator.records({ quiet: true })
  const over = await session.currentTime().then(
    () => false,
    () => true,
  )
  expect("the intern's session was ended, as sara said", over)
  intern.close()
  const keys = (await center.sessions()).map(({ key }) => key)
  const told = JSON.stringify(await call(clients['sara'], 'list_sessions')) + readFileSync(scene.auditFile, 'utf8')
  expect(
    'neither a model nor audit is told a key to a session',
    keys.length > 0 && !keys.some((key) => told.includes(key)),
  )

  events(scene, await center.events())
  records(scene, recorded)
  narrator.records({ quiet: true })
}

async function callEverything(user: string, client: Client | undefined) {
  const found = new Map<string, unknown>()
  const wrong: string[] = []
  let allowed = 0
  for (const { tool, arguments: given, fault } of callsOf(user, CAST[user]?.vm ?? '')) {
    const { code, isError, text, data } = await call(client, tool, given(found))
    found.set(tool, data)
    const expected = may(user, tool) ? (fault ?? 'done') : 'refused'
    const happened = code === 'ERR_TOOL_DENIED' ? 'refused' : isError ? text : 'done'
    if (happened !== 'refused') allowed++
    if (happened !== expected && !(fault !== undefined && expected === fault && text.includes(fault)))
      wrong.push(`${tool}: ${expected} was expected, but: ${happened}`)
  }
  return { allowed, wrong }
}

function events({ narrator }: Scene, all: readonly VcenterEvent[]): void {
  const { say, expect } = narrator
  // What was there at the start has no user.
  const changes = all.filter(({ type, userName }) => type.startsWith('Vm') && userName !== '')
  for (const user of USERS) {
    const { vm, own, seen = own } = CAST[user] ?? {}
    const theirs = changes.filter(({ userName }) => userName === seen)
    const types = [...new Set(theirs.map(({ type }) => type))].sort()
    say(`vCenter's event log: ${theirs.length} changes by ${seen}`)
    const about = changes.filter(({ message }) => message.includes(`${user}-`) || message.includes(`${vm}`))
    expect(
      `they are those that ${user} made, and nobody else had to do with ${user}'s machines`,
      types.join() === [...(CHANGES[user] ?? [])].sort().join() && about.every(({ userName }) => userName === seen),
    )
  }
}

function records({ narrator }: Scene, all: readonly WrittenRecord[]): void {
  const { say, expect } = narrator
  const tools = all.filter(({ event }) => event === 'tool')
  const delegations = all.filter(({ event }) => event === 'delegation')
  say(`on record: ${tools.length} calls of tools, ${delegations.length} uses of sessions`)
  expect(
    'there is one record for each call',
    USERS.every((user) =>
      EXPECTED_TOOLS.every(
        (name) =>
          tools.filter(({ subject, tool, count }) => subject === user && tool === name && count === undefined)
            .length === 1,
      ),
    ) && tools.length === USERS.length * EXPECTED_TOOLS.length,
  )
  expect(
    'which says what became of it',
    tools.every(({ subject, tool, outcome }) => (outcome === 'denied') !== may(String(subject), String(tool))),
  )
  expect(
    'each user was somebody at vCenter, and only that one',
    USERS.every((user) => {
      const principals = new Set(
        delegations.filter(({ subject }) => subject === user).map(({ principal }) => principal),
      )
      return [...principals].join() === (CAST[user]?.seen ?? '')
    }),
  )
}
