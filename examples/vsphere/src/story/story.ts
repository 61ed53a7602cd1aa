import { connectAs } from '@mcp-delegation/labs/identity-provider'
import { httpStatusOf } from '@mcp-delegation/labs/story'
import type { VcenterLab } from '@mcp-delegation/labs/vsphere'
import type { Client } from '@modelcontextprotocol/client'
import { CAST } from './cast.ts'
import { call } from './client-calls.ts'
import { tellEverything } from './everything.ts'
import { EXPECTED_TOOLS, may, USERS } from './expected-access.ts'
import { tellReading } from './reading.ts'
import { type Clients, loggedIn, type Scene } from './scene.ts'

/** Six users do everything that they may, and try everything that they may not; then things change. */
export async function tellStory(scene: Scene): Promise<void> {
  const clients = Object.fromEntries(
    await Promise.all(USERS.map(async (name) => [name, await connectAs(name, scene.url)] as const)),
  )
  await lists(scene, clients)
  await tellEverything(scene, clients)
  await tellReading(scene, clients)
  await terminated(scene, clients)
  await promoted(scene, clients)
  await blocked(scene, clients)
  for (const client of Object.values(clients)) await client.close()
}

/** Waits for at most five seconds until it is so: what is ended is logged out a moment later. */
async function loggedInWhen(center: VcenterLab, isExpected: (names: readonly string[]) => boolean) {
  const end = performance.now() + 5_000
  for (;;) {
    const names = await loggedIn(center)
    if (isExpected(names) || performance.now() > end) return names
  }
}

async function toolsOf(client: Client | undefined): Promise<readonly string[]> {
  const { tools = [] } = (await client?.listTools()) ?? {}
  return tools.map(({ name }) => name).sort()
}

function expectedTools(user: string): readonly string[] {
  return EXPECTED_TOOLS.filter((tool) => may(user, tool)).sort()
}

async function lists({ narrator }: Scene, clients: Clients): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter(
    '1. Five users, one of each level, and nina, for whom Vault has an account, but whose groups mean nothing here.',
  )
  for (const user of USERS) {
    const tools = await toolsOf(clients[user])
    say(`${user}, of ${CAST[user]?.groups.join(' and ')}, is shown ${tools.length} of ${EXPECTED_TOOLS.length} tools`)
    expect(`${user} sees the tools of the level, and no others`, tools.join() === expectedTools(user).join())
  }
}

async function terminated({ narrator, center }: Scene, { otto }: Clients): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter("4. An administrator of vCenter ends otto's session there.")
  const before = (await center.sessions()).find(({ userName }) => userName === CAST['otto']?.seen)
  if (before !== undefined) await center.terminate(before.key)
  const { text, isError } = await call(otto, 'get_vm_info', { vm: CAST['otto']?.vm })
  const after = (await center.sessions()).find(({ userName }) => userName === CAST['otto']?.seen)
  say(`otto calls a tool, and reads: ${text.split('\n')[0]}`)
  const records = narrator.records().map(({ event, outcome }) => `${event} ${outcome}`)
  expect('he does not notice', !isError)
  expect('he has another session', after !== undefined && after.key !== before?.key)
  expect('audit says that it was opened', records.join() === 'delegation reused,delegation issued,tool ok')
}

async function promoted({ narrator, provider, center, url }: Scene, { rita }: Clients): Promise<void> {
  const { chapter, say, expect } = narrator
  const vm = CAST['rita']?.vm
  chapter('5. rita becomes an operator. Her token was issued before.')
  const sessions = await loggedIn(center)
  await provider.setClaims('rita', { groups: ['vsphere-operators'] })
  const shown = await toolsOf(rita)
  const refused = await call(rita, 'suspend_vm', { vm })
  say(`with the old token she is shown ${shown.length} tools, and suspend_vm is refused: ${refused.text}`)
  expect('what she is shown is as it was', shown.join() === expectedTools('rita').join())
  expect('what she may do is as it was', refused.code === 'ERR_TOOL_DENIED')

  const again = await connectAs('rita', url)
  const shownNow = await toolsOf(again)
  const done = await call(again, 'suspend_vm', { vm })
  const who = await call(again, 'who_am_i')
  const names = await loggedInWhen(center, (now) => now.length === 5)
  await again.close()
  say(`with a new token she is shown ${shownNow.length} tools, and suspend_vm is done: ${done.text}`)
  say(`vCenter sees ${who.data?.['vcenterUser']}`)
  const records = narrator.records().filter(({ event }) => event === 'delegation')
  expect("she sees an operator's tools", shownNow.join() === expectedTools('otto').join())
  expect("she may do what an operator may, by the operators' account", !done.isError)
  expect('vCenter sees that account', who.data?.['vcenterUser'] === 'svc-power@vsphere.local')
  expect(
    'audit says so',
    records.map(({ outcome, principal }) => `${outcome} ${principal}`).join() ===
      'issued svc-power@vsphere.local,reused svc-power@vsphere.local',
  )
  expect(
    'no more than five sessions are kept: the one that was idle for the longest is ended',
    sessions.length === 5 && names.length === 5 && names.includes('svc-power@vsphere.local'),
  )
}

async function blocked({ narrator, center, url }: Scene, { sara, vera }: Clients): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('6. sara blocks vera, whose token is still good for minutes.')
  await call(vera, 'list_vms')
  const before = await loggedIn(center)
  const start = performance.now()
  const { text } = await call(sara, 'block_user', { subject: 'vera' })
  const after = await loggedInWhen(center, (names) => !names.includes('vera@vsphere.local'))
  const took = Math.round(performance.now() - start)
  const refused = await httpStatusOf(() => call(vera, 'list_vms'))
  const refusedAgain = await httpStatusOf(() => connectAs('vera', url))
  const { isError } = await call(sara, 'list_vms')
  say(`sara is told: ${text}`)
  say(`${took} ms later, logged in at vCenter: ${after.join(', ')}`)
  say(`vera calls a tool: HTTP ${refused}; she logs in again: HTTP ${refusedAgain}`)
  narrator.records()
  expect('she had a session', before.includes('vera@vsphere.local'))
  expect('vCenter has it no more', !after.includes('vera@vsphere.local') && after.length === before.length - 1)
  expect('she was refused at once', refused === 403)
  expect('a new token does not help her', refusedAgain === 403)
  expect("sara's goes on", !isError)

  await call(sara, 'unblock_user', { subject: 'vera' })
  const { isError: stillOut } = await call(vera, 'list_vms')
  say(`unblocked, vera calls a tool; logged in at vCenter: ${(await loggedIn(center)).join(', ')}`)
  narrator.records()
  expect('unblocked, she is served', !stillOut && (await loggedIn(center)).includes('vera@vsphere.local'))
}
