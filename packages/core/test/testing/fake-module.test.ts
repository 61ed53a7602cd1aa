import { expect, it } from 'vitest'
import { DelegationRegistry } from '../../src/registry.ts'
import { fakeModule } from '../../src/testing/fake-module.ts'
import { memoryAudit } from '../../src/testing/memory-audit.ts'
import { moduleConformance } from '../../src/testing/module-conformance.ts'
import { testSession } from '../../src/testing/test-session.ts'

const alice = testSession({ subject: 'alice' })
const bob = testSession({ subject: 'bob' })

it('issues its value, as the subject, for any JSON', async () => {
  const audit = memoryAudit()
  const modules = { fixed: fakeModule(1), own: fakeModule(({ subject }) => `value of ${subject}`) }
  await using registry = new DelegationRegistry({ modules, audit, policy: 'backend-decides' })
  expect((await registry.delegate('fixed', alice, { any: ['thing', null] })).value).toBe(1)
  expect((await registry.delegate('own', alice, 'text')).value).toBe('value of alice')
  const lease = await registry.delegate('own', bob, 'text')
  expect(lease.value).toBe('value of bob')
  expect(lease.principal).toBe('bob')
  expect(audit.records).toMatchObject([
    { event: 'delegation', outcome: 'issued', module: 'fixed', type: 'fake', subject: 'alice', principal: 'alice' },
    { event: 'delegation', outcome: 'issued', module: 'own', subject: 'alice', principal: 'alice' },
    { event: 'delegation', outcome: 'issued', module: 'own', subject: 'bob', principal: 'bob' },
  ])
})

it('refuses what is not JSON', async () => {
  const modules = { fake: fakeModule(1) }
  await using registry = new DelegationRegistry({ modules, audit: memoryAudit(), policy: 'backend-decides' })
  for (const request of [undefined, new Date(), () => 1, { nested: 1n }])
    await expect(registry.delegate('fake', alice, request)).rejects.toMatchObject({
      code: 'ERR_DELEGATION_INVALID_REQUEST',
    })
})

it('fails as it is told to', async () => {
  const audit = memoryAudit()
  const modules = { fake: fakeModule(1, { fails: 'ERR_DELEGATION_DENIED' }) }
  await using registry = new DelegationRegistry({ modules, audit, policy: 'backend-decides' })
  await expect(registry.delegate('fake', alice, null)).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
  expect(audit.records).toMatchObject([{ outcome: 'refused', code: 'ERR_DELEGATION_DENIED' }])
})

// Everybody is mapped, whatever the issuer: it is for tests of tools, and says so.
const NOT_ITS_OWN = [
  'issues nothing to a user without a mapping',
  'takes the same subject of another issuer for somebody else',
  'serves its users through a registry, with one audit record for each call',
]

for (const { name, run } of moduleConformance({
  create: () => fakeModule(({ subject }) => ({ name: subject })),
  granted: [
    { session: alice, request: 'text' },
    { session: bob, request: 'text' },
  ],
  unmapped: { session: testSession({ subject: 'mallory' }), request: 'text' },
  secretsOf: () => [],
}))
  it(`${name}${NOT_ITS_OWN.includes(name) ? ': not a fake module' : ''}`, async () => {
    if (NOT_ITS_OWN.includes(name)) await expect(run()).rejects.toThrow()
    else await run()
  })
