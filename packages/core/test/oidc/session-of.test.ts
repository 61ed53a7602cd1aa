import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import type { IssuerOptions } from '../../src/oidc/index.ts'
import type { Session } from '../../src/session.ts'
import { outcomeOf, verifierOf } from './support.ts'

let signer: Signer
let warnings: string[]
beforeAll(async () => {
  signer = await startSigner()
})
beforeEach(() => {
  warnings = []
})
afterAll(() => signer.stop())

const ignore = (): void => {}
const log = { debug: ignore, info: ignore, error: ignore, warn: (_: object, text: string) => void warnings.push(text) }

const read = async (claims: Readonly<Record<string, unknown>>, issuer: Partial<IssuerOptions> = {}): Promise<Session> =>
  verifierOf(signer, issuer, { log }).verify(await signer.sign(claims))

describe('groups', () => {
  test.each([
    ['a list', ['a', 'b c'], ['a', 'b c']],
    ['a text with spaces', 'a b  c', ['a', 'b', 'c']],
    ['an empty list', [], []],
    ['an empty text', '', []],
    ['null', null, []],
    ['nothing', undefined, []],
  ])('come from %s', async (_, groups, expected) => {
    expect([...(await read({ groups })).groups]).toEqual(expected)
    expect(warnings).toEqual([])
  })

  test.each([
    ['a number', 7],
    ['an object', { admin: true }],
    ['a list with a number', ['a', 7]],
    ['a list with an empty text', ['a', '']],
    ['a list of lists', [['a']]],
    ['true', true],
  ])('that are malformed, %s, are none, with a warning', async (_, groups) => {
    expect([...(await read({ groups })).groups]).toEqual([])
    expect(warnings).toEqual([expect.stringMatching(/^the token's groups .* as none$/)])
  })

  test.each([
    ['an emoji of several', '👩\u200d💻'],
    ['a soft hyphen', 'soft\u00adhyphen'],
    ['a tab', 'a\tb'],
    ['more than 1,024 bytes', 'é'.repeat(513)],
  ])('of which one has %s in its name are those without it, with a warning', async (_, name) => {
    const session = await read({ groups: ['a', name, 'b'], roles: ['r', name], scope: ['s', name] })
    const { groups, roles, scopes } = session
    expect([...groups, ...roles, ...scopes]).toEqual(['a', 'b', 'r', 's'])
    expect(warnings).toEqual(
      ['groups', 'roles', 'scopes'].map((what) => `some ${what} are no clean text, and left out`),
    )
  })

  test('that are malformed are warned of once, whoever is asked for more', async () => {
    const verifier = verifierOf(signer, {}, { log, verifyMore: async () => ({}) })
    await verifier.verify(await signer.sign({ groups: 7 }))
    expect(warnings).toHaveLength(1)
  })

  test('come from the claim, or the nested claim, that the issuer’s options name, and from there alone', async () => {
    const claims = { groups: ['default'], 'https://corp.example/groups': ['named'], realm: { teams: 'nested deep' } }
    expect([...(await read(claims, { groups: 'https://corp.example/groups' })).groups]).toEqual(['named'])
    expect([...(await read(claims, { groups: ['realm', 'teams'] })).groups]).toEqual(['nested', 'deep'])
    expect([...(await read(claims, { groups: ['realm', 'missing'] })).groups]).toEqual([])
    expect([...(await read(claims, { groups: 'toString' })).groups]).toEqual([])
    expect(warnings).toEqual([])
  })
})

test('scopes come from scope and scp, texts or lists', async () => {
  expect([...(await read({ scope: 'read write' })).scopes]).toEqual(['read', 'write'])
  expect([...(await read({ scope: ['read', 'write'] })).scopes]).toEqual(['read', 'write'])
  expect([...(await read({ scp: 'read' })).scopes]).toEqual(['read'])
  expect([...(await read({ scp: ['read'] })).scopes]).toEqual(['read'])
  expect([...(await read({ scope: 7 })).scopes]).toEqual([])
  expect(warnings).toHaveLength(1)
})

test('the display name is the preferred name, else the mail address, else the subject, made printable', async () => {
  expect((await read({ preferred_username: 'al', email: 'a@b' })).displayName).toBe('al')
  expect((await read({ preferred_username: 7, email: 'a@b' })).displayName).toBe('a@b')
  expect((await read({})).displayName).toBe('alice')
  expect((await read({ preferred_username: 'al\u202eecila\n' })).displayName).toBe('al\\u{202e}ecila\\u{a}')
})

describe('actors', () => {
  test('are read nearest first', async () => {
    const act = { sub: 'agent', act: { sub: 'gateway', iss: 'https://other.example' } }
    expect((await read({ act })).act).toEqual(['agent', 'gateway'])
    expect((await read({})).act).toEqual([])
  })

  test.each([
    ['a text', 'agent'],
    ['null', null],
    ['a list', [{ sub: 'agent' }]],
    ['an actor without a name', { act: { sub: 'gateway' } }],
    ['an actor behind whom is none', { sub: 'agent', act: {} }],
    ['an actor with a hostile name', { sub: 'a\u0000b' }],
  ])('that are malformed, %s, are refused', async (_, act) => {
    expect(await outcomeOf(read({ act }))).toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })

  test('beyond eight are refused', async () => {
    const chain = (length: number): object => ({ sub: `a${length}`, ...(length > 1 ? { act: chain(length - 1) } : {}) })
    expect((await read({ act: chain(8) })).act).toHaveLength(8)
    expect(await outcomeOf(read({ act: chain(9) }))).toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })
})

describe('a hostile text is refused, or left out of what it is one of, and not echoed', () => {
  const texts = {
    'a control character': 'evil\u0007\u001b[31m',
    'a line break': 'evil\r\nset-cookie: x',
    'a reversal of direction': 'evil\u202egnp',
    'a lone surrogate': 'evil\ud800',
    'ten thousand characters': `evil${'x'.repeat(10_000)}`,
    'nothing in it': '',
  }
  const claims = ['sub', 'client_id', 'groups', 'roles', 'scope', 'act'] as const
  const hostile = (claim: string, text: string): unknown =>
    ({ groups: [text], roles: [text], scope: [text], act: { sub: text } })[claim] ?? text

  test.each(Object.entries(texts))('%s', async (_, text) => {
    for (const claim of claims) {
      const outcome = await outcomeOf(read({ [claim]: hostile(claim, text) }))
      const counts = ['groups', 'roles', 'scope'].includes(claim) ? undefined : 'ERR_SESSION_INVALID'
      expect({ claim, code: outcome.code }).toEqual({ claim, code: counts })
      expect(JSON.stringify(outcome)).not.toContain('evil')
    }
    for (const claim of ['groups', 'roles', 'scopes'] as const)
      expect([...(await read({ [claim === 'scopes' ? 'scope' : claim]: ['fine', text] }))[claim]].join()).not.toMatch(
        /evil/,
      )
    expect(warnings.length).toBeGreaterThanOrEqual(3)
    expect(JSON.stringify(warnings)).not.toContain('evil')
  })
})

test('a claim named like a prototype is refused wherever it is, and so is absurd nesting', async () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })
  const bad: unknown[] = [
    JSON.parse('{"__proto__":{"admin":true}}'),
    { constructor: 1 },
    [{ prototype: 1 }],
    nested(20),
  ]
  for (const custom of bad) expect(await outcomeOf(read({ custom }))).toMatchObject({ code: 'ERR_SESSION_INVALID' })
  await expect(read({ custom: nested(10) })).resolves.toMatchObject({ subject: 'alice' })
})

test('the session carries the claims, the token as a secret, and ends with the token or its age', async () => {
  const now = Math.floor(Date.now() / 1000)
  const token = await signer.sign({ iat: now - 10, exp: now + 50, sid: 's1', department: 'finance' })
  const session = await verifierOf(signer).verify(token)
  expect(session.claims).toMatchObject({ sid: 's1', department: 'finance' })
  expect(session.token?.reveal()).toBe(token)
  expect(JSON.stringify(session)).not.toContain(token)
  expect(session.issuedAt).toEqual(new Date((now - 10) * 1000))
  expect(session.expiresAt).toEqual(new Date((now + 50) * 1000))
  expect((await verifierOf(signer, {}, { maxTokenAge: 30_000 }).verify(token)).expiresAt).toEqual(
    new Date((now + 20) * 1000),
  )
})
