import { expect, it } from 'vitest'
import { moduleConformance } from '../../src/testing/module-conformance.ts'
import { testSession } from '../../src/testing/test-session.ts'
import { goodModule, lockerFixture } from './broken-modules.ts'

const good = lockerFixture(goodModule)
const [one, other] = good.granted

it.each([
  ['fixture', undefined],
  ['fixture.create', { ...good, create: undefined }],
  ['fixture.secretsOf', { ...good, secretsOf: 'password' }],
  ['fixture.outstanding', { ...good, outstanding: 1 }],
  ['fixture.whoami', { ...good, whoami: 'ada' }],
  ['fixture.granted', { ...good, granted: [one] }],
  ['fixture.granted', { ...good, granted: [one, one] }],
  ['fixture.granted', { ...good, granted: [one, { ...other, session: testSession({ subject: 'alice' }) }] }],
  ['fixture', { ...good, granted: [one, { ...other, session: { ...other.session } }] }],
  ['fixture', { ...good, unmapped: { ...one, session: testSession({ subject: 'eve', token: undefined }) } }],
  ['fixture.secrets', { ...good, secrets: ['short'] }],
])('refuses a fixture with a wrong "%s"', (member, fixture) => {
  expect(() => moduleConformance(fixture as typeof good)).toThrow(new RegExp(`^"${member}" must `))
})

it('makes no module before a check runs', () => {
  const create = (): never => {
    throw new Error('made too early')
  }
  expect(moduleConformance({ ...good, create })).toHaveLength(27)
})

it('has no check of what a module with shared principals need not do', () => {
  const names = moduleConformance({ ...good, shared: true }).map(({ name }) => name)
  expect(names).not.toContain('gives each user a principal and secrets of their own')
  expect(names).toContain('keeps the inbound token out of the credential')
})

it('fails a module that says "shared" where its fixture does not', async () => {
  const make = (): ReturnType<typeof goodModule> => ({ ...good.create(), shared: true })
  const [shape] = moduleConformance({ ...good, create: make })
  await expect(shape?.run()).rejects.toThrow('must agree on "shared"')
})

it('refuses secrets that are too short to be found', async () => {
  const checks = moduleConformance({ ...good, secretsOf: () => ['1234'] })
  const printed = checks.find(({ name }) => name === 'shows no secret where a credential is printed')
  await expect(printed?.run()).rejects.toThrow('fewer than 8 characters')
})
