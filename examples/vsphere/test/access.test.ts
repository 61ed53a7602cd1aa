import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { GROUPS, LEVELS, type Level, PROMPTS, RESOURCES, TOOLS, vsphereAccess } from '../src/access.ts'
import { registerPrompts } from '../src/prompts.ts'
import { registerResources } from '../src/resources.ts'
import { CAST } from '../src/story/cast.ts'
import { EXPECTED_TOOLS, may, USERS } from '../src/story/expected-access.ts'
import { tools } from '../src/tools/index.ts'

const ISSUER = 'https://idp.example.com'
const accounts: Readonly<Partial<Record<Level, string>>> = { READ_ONLY: 'svc-read', FULL_ADMIN: 'svc-full' }
const access = vsphereAccess({ issuer: ISSUER, groups: GROUPS, accounts, callsPerMinute: 3 })
const of = (...groups: readonly string[]) => testSession({ issuer: ISSUER, groups: new Set(groups) })

test('what is registered is what there are levels for', () => {
  expect(tools.map(({ name }) => name).sort()).toEqual(Object.keys(TOOLS).sort())
  const registered: string[] = []
  const note = (name: string): void => {
    registered.push(name)
  }
  const mcp = { resource: () => {}, prompt: () => {} } as never
  registerResources({ registerResource: note } as never, { mcp })
  registerPrompts({ registerPrompt: note } as never, { mcp })
  expect(registered.sort()).toEqual([...Object.keys(RESOURCES), ...Object.keys(PROMPTS)].sort())
})

test('the table that is written down by hand is about every tool', () => {
  expect([...EXPECTED_TOOLS].sort()).toEqual(Object.keys(TOOLS).sort())
  for (const user of USERS)
    for (const tool of EXPECTED_TOOLS)
      expect(access.tool({ session: of(...(CAST[user]?.groups ?? [])), tool }).allowed, `${user} ${tool}`).toBe(
        may(user, tool),
      )
})

test('no group, a group of another issuer and a group of nearly that name give nothing', () => {
  for (const session of [
    of(),
    of('VSPHERE-READERS'),
    of('vsphere-readers '),
    testSession({ issuer: 'https://other.example.com', groups: new Set(['vsphere-super-admins']) }),
  ]) {
    expect(access.levelOf(session)).toBeUndefined()
    expect(access.tool({ session, tool: 'list_vms' }).allowed).toBe(false)
  }
})

test('several groups give the highest level', () => {
  expect(access.levelOf(of('vsphere-readers', 'vsphere-host-admins'))).toBe('HOST_ADMIN')
})

test('a shared account is for those of its level and above, whatever asks for it', () => {
  const may = (level: Level, principal: string, type = 'service-account'): boolean => {
    const [group = ''] = Object.entries(GROUPS).find(([, granted]) => granted === level) ?? []
    const attempt = { session: of(group), tool: undefined, module: 'vcenter', type, target: 'vcenter', principal }
    return access.delegation(attempt).allowed
  }
  expect(LEVELS.map((level) => may(level, 'svc-read'))).toEqual([true, true, true, true, true])
  expect(LEVELS.map((level) => may(level, 'svc-full'))).toEqual([false, false, false, false, true])
  expect(LEVELS.map((level) => may(level, 'svc-other'))).toEqual([false, false, false, false, false])
  expect(may('READ_ONLY', 'alice', 'vault')).toBe(true)
  expect(may('FULL_ADMIN', 'alice', 'kerberos')).toBe(false)
})

test('each user may call so many tools in a minute', () => {
  const session = of('vsphere-readers')
  const asked = [1, 2, 3, 4].map(() => access.limit({ session, kind: 'tool', name: 'list_vms' }))
  expect(asked.slice(0, 3)).toEqual([undefined, undefined, undefined])
  expect(asked[3]).toBeInstanceOf(Date)
})
