import { expect, test } from 'vitest'
import { type PrincipalMappingOptions, principalMapping } from '../src/identity.ts'
import { DelegationRegistry } from '../src/registry.ts'
import type { Session } from '../src/session.ts'
import { fakeModule } from '../src/testing/fake-module.ts'
import { memoryAudit } from '../src/testing/memory-audit.ts'
import { testSession } from '../src/testing/test-session.ts'

const CORP = 'https://idp.example'
const PARTNER = 'https://partner.example'
const byName = { claim: 'preferred_username', acceptMutableClaim: true } as const
const asked = (subject: string, preferred_username: unknown, issuer = CORP): Session =>
  testSession({ issuer, subject, claims: { preferred_username } })

/** The principal of each session in turn, or the code of its refusal; and what audit says of them. */
async function serve(options: PrincipalMappingOptions, sessions: readonly Session[]) {
  const audit = memoryAudit()
  const { principal, linked } = principalMapping(options)
  const module = { ...fakeModule('credential'), principal, linked }
  await using registry = new DelegationRegistry({ modules: { module }, audit, policy: 'backend-decides' })
  const answers: string[] = []
  for (const session of sessions)
    answers.push(
      await registry.delegate('module', session, {}).then(
        (lease) => lease.principal,
        (error: { code: string; message: string }) => `${error.code} ${error.message}`,
      ),
    )
  return { answers, audited: audit.records.map((record) => 'principal' in record && record.principal) }
}

test('who takes the name of another is refused, under the case rule of the backend', async () => {
  const issuers = [{ issuer: CORP, ...byName }]
  const sessions = [asked('u1', 'alice'), asked('u2', 'ALICE'), asked('u1', 'Alice'), asked('u2', 'bob')]
  const conflict = 'ERR_DELEGATION_DENIED principal_conflict: the account belongs to another identity'
  expect((await serve({ case: 'insensitive', issuers }, sessions)).answers).toEqual(['alice', conflict, 'alice', 'bob'])
  expect((await serve({ case: 'sensitive', issuers }, sessions)).answers).toEqual(['alice', 'ALICE', 'Alice', 'bob'])
})

test('a linked person has one principal at two issuers, and nobody else there has it, also who asks first', async () => {
  const alice = { issuer: PARTNER, subject: 'p1' }
  const options: PrincipalMappingOptions = {
    case: 'insensitive',
    issuers: [
      { issuer: CORP, ...byName },
      { issuer: PARTNER, table: { p1: 'alice' } },
    ],
    links: [[{ issuer: CORP, subject: 'u1' }, alice]],
  }
  const { answers, audited } = await serve(options, [
    asked('p2', 'bob', PARTNER),
    asked('p2', 'alice', PARTNER),
    asked('p1', 'carol', PARTNER),
    asked('u1', 'alice'),
    asked('u2', 'bob'),
    asked('u3', 'carol'),
  ])
  const unmapped = expect.stringMatching(/^ERR_DELEGATION_NO_IDENTITY/)
  expect(answers).toEqual([unmapped, unmapped, 'alice', 'alice', 'bob', 'carol'])
  expect(audited.slice(2)).toEqual(['alice', 'alice', 'bob', 'carol'])
})

test('one link does not let the other people of two issuers take the names of each other', async () => {
  const options: PrincipalMappingOptions = {
    case: 'insensitive',
    issuers: [
      { issuer: CORP, ...byName },
      { issuer: PARTNER, ...byName },
    ],
    links: [
      [
        { issuer: CORP, subject: 'u1' },
        { issuer: PARTNER, subject: 'p1' },
      ],
    ],
  }
  const mallory = asked('p2', 'bob', PARTNER)
  await expect(serve(options, [mallory, asked('u2', 'bob')])).rejects.toThrow(/to two people/)
})

test('a claim that is gone is a denial, a user of whom the mapping knows nothing is not mapped', async () => {
  const issuers = [
    { issuer: CORP, ...byName },
    { issuer: PARTNER, table: { p1: 'partner@x' } },
  ]
  const machine = testSession({ kind: 'machine', claims: { preferred_username: 'alice' } })
  const { answers } = await serve({ case: 'sensitive', issuers }, [
    asked('u1', undefined),
    asked('u1', 'alice@EVIL.REALM'),
    machine,
    asked('p1', 'ignored', PARTNER),
    asked('p2', 'alice', PARTNER),
    asked('u1', 'alice', 'https://other.example'),
  ])
  expect(answers.map((answer) => answer.split(' ')[0])).toEqual([
    'ERR_DELEGATION_DENIED',
    'ERR_DELEGATION_DENIED',
    'ERR_DELEGATION_DENIED',
    'partner@x',
    'ERR_DELEGATION_NO_IDENTITY',
    'ERR_DELEGATION_NO_IDENTITY',
  ])
})
