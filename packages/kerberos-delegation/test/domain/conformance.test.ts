import { type KerberosCredential, secret } from '@mcp-delegation/core'
import { moduleConformance, testSession } from '@mcp-delegation/core/testing'
import { kerberosDelegation } from '@mcp-delegation/kerberos'
import {
  type ActiveDirectory,
  type ApacheBackend,
  activeDirectory,
  apacheBackend,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, describe } from 'vitest'
import { BACKEND, ISSUER, optionsFor, seenBy, test } from './support.ts'

let lab: ActiveDirectory
let dead: ActiveDirectory
let backend: ApacheBackend

beforeAll(async () => {
  lab = await activeDirectory()
  dead = await activeDirectory()
  backend = await apacheBackend(lab)
  await dead.halt()
}, 60_000)

afterAll(async () => {
  await backend?.dispose()
  await lab?.dispose()
  await dead?.dispose()
})

const PEOPLE = new Set(['alice', 'bob', 'carol', 'erin'])
const create = (domain: () => ActiveDirectory) =>
  kerberosDelegation(
    optionsFor(domain(), {
      principal: {
        issuers: [{ issuer: ISSUER, principal: ({ subject }) => (PEOPLE.has(subject) ? subject : undefined) }],
      },
    }),
  )
const whoever = (subject: string) => ({
  session: testSession({ issuer: ISSUER, subject, token: secret(`token of ${subject}, which stays here`) }),
  request: { targetService: BACKEND } as const,
})

describe('the module conforms', () => {
  const checks = moduleConformance({
    create: () => create(() => lab),
    granted: [whoever('alice'), whoever('bob')],
    unmapped: whoever('mallory'),
    secretsOf: async (value: KerberosCredential) => [await value.negotiate()],
    whoami: async (value) => await seenBy(backend.origin, await value.negotiate()),
    faults: [
      { when: 'the user is sensitive', ...whoever('carol'), code: 'ERR_DELEGATION_DENIED' },
      { when: 'the user is disabled', ...whoever('erin'), code: 'ERR_DELEGATION_DENIED' },
      {
        when: 'the KDC is down',
        ...whoever('alice'),
        create: () => create(() => dead),
        code: 'ERR_DELEGATION_UNAVAILABLE',
      },
    ],
  })
  for (const { name, run } of checks) test(name, run)
})
