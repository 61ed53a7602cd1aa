import { type Client, ProtocolError } from '@modelcontextprotocol/client'
import { CAST } from './cast.ts'
import type { Clients, Scene } from './scene.ts'

/** Resources and prompts are the caller's, too. */
export async function tellReading({ narrator }: Scene, { rita, hugo, nina }: Clients): Promise<void> {
  const { chapter, say, expect } = narrator
  chapter('3. They read resources, and use prompts.')
  if (rita === undefined || hugo === undefined || nina === undefined) return
  const shown = { rita: await offersOf(rita), hugo: await offersOf(hugo), nina: await offersOf(nina) }
  for (const [user, offers] of Object.entries(shown)) say(`${user} is shown: ${offers || 'nothing'}`)
  const inventory = JSON.parse(await read(rita, 'vsphere://inventory')) as { vms?: unknown[]; hosts?: unknown[] }
  const machine = JSON.parse(await read(rita, `vsphere://vm/${CAST['rita']?.vm}`)) as { name?: unknown }
  say(
    `rita reads the inventory: ${inventory.vms?.length} machines, ${inventory.hosts?.length} hosts; and ${machine.name}`,
  )
  const plan = { name: 'plan_host_maintenance', arguments: { host: 'DC0_C0_H0' } }
  const planned = (await hugo.getPrompt(plan)).messages.length
  const refused = {
    nina: await read(nina, 'vsphere://inventory'),
    rita: await refusalOf(() => rita.getPrompt(plan)),
  }
  say(`nina reads it, too: ${refused.nina}`)
  say(`rita wants to plan maintenance: ${refused.rita}`)
  const records = narrator.records().filter(({ event }) => event === 'resource' || event === 'prompt')
  expect(
    'each is shown what they may use',
    shown.rita === 'inventory, vm, investigate_vm' &&
      shown.hugo === 'inventory, vm, investigate_vm, plan_host_maintenance' &&
      shown.nina === '',
  )
  expect('rita reads what vCenter shows her', machine.name === CAST['rita']?.vm && inventory.hosts?.length === 4)
  expect('hugo gets the prompt', planned === 1)
  expect(
    'the others are refused',
    Object.values(refused).every((text) => text?.startsWith('the policy refused')),
  )
  expect(
    'all of it is on record',
    records.map(({ subject, outcome }) => `${subject} ${outcome}`).join() ===
      'rita ok,rita ok,hugo ok,nina denied,rita denied',
  )
}

async function offersOf(client: Client): Promise<string> {
  const { resources } = await client.listResources()
  const { resourceTemplates } = await client.listResourceTemplates()
  const { prompts } = await client.listPrompts()
  return [...resources, ...resourceTemplates, ...prompts].map(({ name }) => name).join(', ')
}

/** The text of a resource, or why it can't be read. */
async function read(client: Client, uri: string): Promise<string> {
  let text = ''
  const refusal = await refusalOf(async () => {
    const { contents } = await client.readResource({ uri })
    for (const content of contents) if ('text' in content) text += content.text
  })
  return refusal ?? text
}

async function refusalOf(request: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await request()
    return undefined
  } catch (error) {
    if (error instanceof ProtocolError) return error.message
    throw error
  }
}
