import {
  type ActiveDirectory,
  type ApacheBackend,
  activeDirectory,
  apacheBackend,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { BACKEND, delegations, disposing, ISSUER, refusalOf, seenBy, session, test } from './support.ts'

let lab: ActiveDirectory
let backend: ApacheBackend

beforeAll(async () => {
  lab = await activeDirectory()
  backend = await apacheBackend(lab)
}, 60_000)

afterAll(async () => {
  await backend?.dispose()
  await lab?.dispose()
})

const open = disposing()

const DB = 'MSSQLSvc/db.corp.example:1433'
const people = Array.from({ length: 20 }, (_, index) => `user${String(index + 1).padStart(2, '0')}`)
const proxies = (since: number) => lab.requests(since).filter(({ kind }) => kind === 'S4U2Proxy')

test('a web service sees each user through one server, and audit says the same', async () => {
  const { ask, audit } = open(lab)
  for (const name of ['alice', 'bob', 'alice']) {
    const ticket = await ask(name)
    expect(ticket.principal).toBe(`${name}@CORP.EXAMPLE`)
    expect(ticket.value).toMatchObject({ client: `${name}@CORP.EXAMPLE`, service: `${BACKEND}@CORP.EXAMPLE` })
    expect(await seenBy(backend.origin, await ticket.value.negotiate())).toBe(`${name}@CORP.EXAMPLE`)
    await ticket[Symbol.asyncDispose]()
  }
  expect(delegations(audit.records)).toMatchObject([
    { outcome: 'issued', subject: 'alice', principal: 'alice@CORP.EXAMPLE', target: BACKEND, type: 'kerberos' },
    { outcome: 'issued', subject: 'bob', principal: 'bob@CORP.EXAMPLE' },
    { outcome: 'reused', subject: 'alice', principal: 'alice@CORP.EXAMPLE' },
  ])
})

test('ten thousand interleaved tokens of twenty users each carry the right name', async () => {
  const { ask } = open(lab)
  const tickets = await Promise.all(people.map((name) => ask(name)))
  const tokens = new Set<string>()
  let asked = 0
  const wrong: string[] = []
  const worker = async (): Promise<void> => {
    while (asked < 10_000) {
      const turn = asked++
      const index = (turn * 7 + Math.floor(turn / 20)) % people.length
      const token = (await tickets[index]?.value.negotiate()) ?? ''
      tokens.add(token)
      const seen = await seenBy(backend.origin, token)
      if (seen !== `${people[index]}@CORP.EXAMPLE`) wrong.push(`${people[index]} was seen as ${seen}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  expect(wrong).toEqual([])
  expect(tokens.size).toBe(10_000)
}, 120_000)

test('the KDC is asked for the first token only', async () => {
  const { ask } = open(lab)
  const start = lab.mark()
  for (let turn = 0; turn < 100; turn++) {
    const ticket = await ask('alice')
    for (let count = 0; count < 100; count++) await ticket.value.negotiate()
    await ticket[Symbol.asyncDispose]()
  }
  const trips = lab.requests(start)
  expect(trips.filter(({ kind }) => kind === 'S4U2Self')).toMatchObject([
    { impersonated: 'alice@CORP.EXAMPLE', outcome: 'SUCCESS' },
  ])
  expect(trips.filter(({ kind }) => kind === 'S4U2Proxy')).toMatchObject([
    { impersonated: 'alice@CORP.EXAMPLE', outcome: 'SUCCESS', server: `${BACKEND}@CORP.EXAMPLE` },
  ])
  expect(trips.filter(({ kind }) => kind === 'AS').length).toBeLessThanOrEqual(2)
  expect(trips.length).toBeLessThanOrEqual(4)
}, 60_000)

test('what is asked for under other spellings of the target is one ticket', async () => {
  const { ask } = open(lab)
  const start = lab.mark()
  for (const target of [BACKEND, 'http/BACKEND.corp.example', 'HTTP/Backend.Corp.Example']) await ask('alice', target)
  expect(proxies(start)).toHaveLength(1)
})

test('s4u2self answers with what the domain says of the user, and never with a ticket', async () => {
  const { registry } = open(lab)
  const start = lab.mark()
  const { value, principal } = await registry.delegate('intranet', session('alice'), { action: 's4u2self' })
  expect(principal).toBe('alice@CORP.EXAMPLE')
  expect(value.identity).toMatchObject({
    principal: 'alice@CORP.EXAMPLE',
    account: 'alice',
    sid: lab.sid('alice'),
    forwardable: true,
  })
  expect(value.identity?.groups).toContain(lab.sid('intranet-users'))
  for (const use of [value.negotiate(), value.context(), value.exportCredentialCache()])
    await expect(use).rejects.toMatchObject({ code: 'ERR_DELEGATION_INVALID_REQUEST' })
  const sensitive = await registry.delegate('intranet', session('carol'), { action: 's4u2self' })
  expect(sensitive.value.identity).toMatchObject({ account: 'carol', forwardable: false })
  expect(proxies(start)).toEqual([])
})

describe('the user principal name of a request', () => {
  test('may be the one that the caller is mapped to', async () => {
    const { registry } = open(lab)
    for (const userPrincipalName of ['alice', 'alice@corp.example', 'ALICE@CORP.EXAMPLE'])
      await expect(
        registry.delegate('intranet', session('alice'), { targetService: BACKEND, userPrincipalName }),
      ).resolves.toMatchObject({ principal: 'alice@CORP.EXAMPLE' })
  })
  test('is no way to be somebody else', async () => {
    const { registry } = open(lab)
    const start = lab.mark()
    for (const userPrincipalName of ['bob', 'Administrator', 'alice@evil.example', 'alice@EVIL@CORP.EXAMPLE', ' alice'])
      await expect(
        registry.delegate('intranet', session('alice'), { targetService: BACKEND, userPrincipalName }),
      ).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
    await expect(
      registry.delegate('intranet', session('kate'), { targetService: BACKEND, userPrincipalName: '\u212Aate' }),
    ).rejects.toMatchObject({ message: "the user principal name is not the caller's" })
    expect(lab.requests(start)).toEqual([])
  })
})

test('a name that has become another account is nobody any more', async () => {
  const own = await activeDirectory()
  try {
    const { ask } = open(own)
    const ticket = await ask('alice')
    ticket.invalidate()
    await own.modify('alice', { rename: 'alicia' })
    await own.modify('bob', { rename: 'alice' })
    expect(await refusalOf(ask('alice'))).toMatchObject({
      code: 'ERR_DELEGATION_DENIED',
      message: expect.stringContaining("another account's"),
    })
    await expect(ask('ivan')).resolves.toMatchObject({ principal: 'ivan@CORP.EXAMPLE' })
  } finally {
    await own.dispose()
  }
})

describe('a user with a suffix of their own', () => {
  const principal = { issuers: [{ issuer: 'https://idp.example', principal: () => 'jane@example.com' }] }
  test('is the account that has this user principal name, and not the one of the same name', async () => {
    const { ask } = open(lab, { principal, realms: { 'example.com': 'CORP.EXAMPLE' } })
    const ticket = await ask('somebody')
    expect(ticket.value.sid).toBe(lab.sid('jdoe'))
    expect(await seenBy(backend.origin, await ticket.value.negotiate())).toBe(ticket.principal)
    expect(ticket.principal).toBe('jdoe@CORP.EXAMPLE')
  })
  test('is denied where the suffix is not listed', async () => {
    const { ask } = open(lab, { principal })
    const start = lab.mark()
    await expect(ask('somebody')).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
    expect(lab.requests(start)).toEqual([])
  })

  const twoNames = ({ linked = false } = {}) =>
    open(lab, {
      principal: {
        issuers: [
          {
            issuer: 'https://idp.example',
            principal: ({ subject }) => (subject === 'jane-at-idp' ? 'jane@example.com' : subject),
          },
        ],
        links: linked ? [['jane-at-idp', 'jdoe'].map((subject) => ({ issuer: ISSUER, subject }))] : [],
      },
      realms: { 'example.com': 'CORP.EXAMPLE' },
    })
  test('is one person with the account name, so that no second identity gets the account', async () => {
    const { ask } = twoNames()
    await ask('jane-at-idp')
    expect(await refusalOf(ask('jdoe'))).toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
  })
  test('is got by one of two identities that ask at once', async () => {
    const { ask } = twoNames()
    const asked = await Promise.allSettled([ask('jane-at-idp'), ask('jdoe'), ask('jane-at-idp', DB), ask('jdoe', DB)])
    const owners = asked.map(({ status }) => status === 'fulfilled')
    expect([
      [true, false, true, false],
      [false, true, false, true],
    ]).toContainEqual(owners)
  })
  test('is got by both identities where they are linked', async () => {
    const { ask } = twoNames({ linked: true })
    for (const who of ['jane-at-idp', 'jdoe', 'jane-at-idp'])
      await expect(ask(who)).resolves.toMatchObject({ principal: 'jdoe@CORP.EXAMPLE' })
  })
  test('is nobody else who was refused before: the account stays free', async () => {
    const { ask } = twoNames()
    expect(await refusalOf(ask('jane-at-idp', 'HTTP/secret.corp.example'))).toMatchObject({
      reason: 'target-not-delegated',
    })
    await expect(ask('jdoe')).resolves.toMatchObject({ principal: 'jdoe@CORP.EXAMPLE' })
  })
})
