import { moduleConformance, testSession } from '@mcp-delegation/core/testing'
import { afterAll, describe, test } from 'vitest'
import { startDepot } from './depot.ts'
import { depotKeys } from './depot-keys.ts'

const depot = await startDepot(['ada', 'bert'])
const failing = await startDepot(['ada'], 'failing')
const babbling = await startDepot(['ada'], 'babbling')
afterAll(() => Promise.all([depot, failing, babbling].map((server) => server[Symbol.asyncDispose]())))

const issuer = 'https://idp.example'
const as = (subject: string) => ({ session: testSession({ issuer, subject }), request: { project: 'website' } })
const create = ({ url, operatorKey } = depot) =>
  depotKeys({
    url,
    operatorKey: async () => operatorKey,
    users: [{ issuer, table: { alice: 'ada', bob: 'bert', carol: 'closed' } }],
  })

describe('depotKeys', () => {
  const checks = moduleConformance({
    create,
    granted: [as('alice'), as('bob')],
    unmapped: as('mallory'),
    secretsOf: ({ token }) => [token.reveal()],
    secrets: [depot.operatorKey, failing.operatorKey, babbling.operatorKey],
    outstanding: () => depot.outstanding(),
    whoami: ({ token }) => depot.whoami(token.reveal()),
    faults: [
      { when: 'the account is closed', code: 'ERR_DELEGATION_DENIED', ...as('carol') },
      {
        when: 'nobody listens',
        code: 'ERR_DELEGATION_UNAVAILABLE',
        create: () => create({ ...depot, url: 'http://127.0.0.1:1' }),
        ...as('alice'),
      },
      {
        when: 'the depot fails',
        code: 'ERR_DELEGATION_UNAVAILABLE',
        create: () => create(failing),
        ...as('alice'),
      },
      {
        when: 'the answer is no key',
        code: 'ERR_DELEGATION_PROTOCOL',
        create: () => create(babbling),
        ...as('alice'),
      },
    ],
  })
  for (const { name, run } of checks) test(name, run)
})
