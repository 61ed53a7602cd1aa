import { inspect } from 'node:util'
import type { SecretSource, Session } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test } from 'vitest'
import { type ServiceAccountOptions, serviceAccount } from '../src/index.ts'
import { codeOf, contextOf, given, login } from './support.ts'

const DENIED = 'ERR_DELEGATION_DENIED'
const account = (username: string) => ({ username, password: given(`password of ${username}`) })
const everybody = (): boolean => true
const alice = testSession()

const LEVELS = { levels: { reader: account('billing_ro'), administrator: account('billing_admin') } }
const levelOf = ({ groups }: Session): string | undefined =>
  groups.has('admins') ? 'administrator' : groups.has('staff') ? 'reader' : undefined
const member = (...groups: string[]): Session => testSession({ groups: new Set(groups) })

test('gives those who are allowed the account of the target', async () => {
  const module = serviceAccount({ accounts: { billing: account('bill'), crm: account('crm_app') }, allow: everybody })
  expect(module.type).toBe('service-account')
  expect(module.shared).toBe(true)
  expect(module.target({ target: 'crm' })).toBe('crm')
  expect(await login(module, alice)).toBe('bill password of bill')
  expect(await login(module, alice, 'crm')).toBe('crm_app password of crm_app')
})

test('the principal is the name that the backend sees', async () => {
  const module = serviceAccount({ accounts: { billing: LEVELS }, allow: everybody, level: levelOf })
  const principal = module.principal(member('staff'), { target: 'billing' }) ?? ''
  const issued = await module.issue({ target: 'billing' }, contextOf(member('staff'), principal))
  expect([principal, issued.value.username, issued.principal]).toEqual(['billing_ro', 'billing_ro', undefined])
})

describe('the allow rule', () => {
  test('lets nobody in by default', async () => {
    for (const session of [alice, member('admins'), testSession({ kind: 'machine' })])
      expect(await login(serviceAccount({ accounts: { billing: account('bill') } }), session)).toBe(DENIED)
  })

  test('gets the session and the request', async () => {
    const module = serviceAccount({
      accounts: { billing: account('bill'), crm: account('crm_app') },
      allow: ({ groups }, { target }) => groups.has(`${target}-users`),
    })
    expect(await login(module, member('billing-users'))).toBe('bill password of bill')
    expect(await login(module, member('billing-users'), 'crm')).toBe(DENIED)
    expect(await login(module, alice)).toBe(DENIED)
  })

  test('says yes with true alone', async () => {
    for (const answer of [false, undefined, null, 1, 'yes', {}, [], Promise.resolve(true)]) {
      const allow = (() => answer) as unknown as NonNullable<ServiceAccountOptions['allow']>
      expect(await login(serviceAccount({ accounts: { billing: account('bill') }, allow }), alice)).toBe(DENIED)
    }
  })

  test('that fails lets nobody in, and the operator learns why', () => {
    const reason = new Error('directory is down')
    const module = serviceAccount({
      accounts: { billing: account('bill') },
      allow: () => {
        throw reason
      },
    })
    expect(() => module.principal(alice, { target: 'billing' })).toThrow(
      expect.objectContaining({ code: DENIED, cause: reason }),
    )
  })

  test('that is asynchronous and fails is no unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): number => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const allow = (async () => Promise.reject(new Error('late'))) as unknown as () => boolean
      const module = serviceAccount({ accounts: { billing: account('bill') }, allow })
      expect(() => module.principal(alice, { target: 'billing' })).toThrow(expect.objectContaining({ code: DENIED }))
      await new Promise(setImmediate)
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  test('is asked again when the account is issued', async () => {
    let allowed = true
    const module = serviceAccount({ accounts: { billing: account('bill') }, allow: () => allowed })
    allowed = false
    const issuing = module.issue({ target: 'billing' }, contextOf(alice, 'bill'))
    expect(await issuing.catch(codeOf)).toBe(DENIED)
  })
})

describe('targets', () => {
  test('that are not listed are denied, before anybody is asked', async () => {
    const asked: string[] = []
    const allow = (_: Session, { target }: { readonly target: string }): boolean => asked.push(target) > 0
    const module = serviceAccount({ accounts: { billing: account('bill') }, allow })
    for (const target of ['crm', 'Billing', 'billing ', '', '__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      expect(await login(module, alice, target), target).toBe(DENIED)
    expect(asked).toEqual([])
  })

  test('are own properties of the list, and copied', async () => {
    const accounts: Record<string, ReturnType<typeof account>> = { billing: account('bill') }
    const module = serviceAccount({ accounts, allow: everybody })
    accounts['crm'] = account('crm_app')
    Object.assign(accounts['billing'] ?? {}, { username: 'root' })
    expect(await login(module, alice, 'crm')).toBe(DENIED)
    expect(await login(module, alice)).toBe('bill password of bill')
    const inherited = serviceAccount({ accounts: Object.create({ billing: account('bill') }), allow: everybody })
    expect(await login(inherited, alice)).toBe(DENIED)
    const own = serviceAccount({
      accounts: JSON.parse('{"__proto__":{"username":"p","password":{"env":"PATH"}}}'),
      allow: everybody,
    })
    expect(own.principal(alice, { target: '__proto__' })).toBe('p')
  })

  test('there may be none', async () => {
    expect(await login(serviceAccount({ accounts: {}, allow: everybody }), alice)).toBe(DENIED)
  })
})

describe('levels', () => {
  const module = serviceAccount({
    accounts: { billing: LEVELS, crm: account('crm_app') },
    allow: everybody,
    level: levelOf,
  })

  test('give readers and administrators accounts of their own', async () => {
    expect(await login(module, member('staff'))).toBe('billing_ro password of billing_ro')
    expect(await login(module, member('staff', 'admins'))).toBe('billing_admin password of billing_admin')
  })

  test('are not asked for where a target has one account', async () => {
    expect(await login(module, member(), 'crm')).toBe('crm_app password of crm_app')
  })

  test('that are unknown, missing or no text are denied, also by names that objects inherit', async () => {
    const answers: readonly unknown[] = [
      undefined,
      null,
      '',
      'Reader',
      'root',
      0,
      ['reader'],
      { toString: () => 'reader' },
      new String('reader'),
      Promise.resolve('reader'),
      '__proto__',
      'constructor',
      'levels',
    ]
    for (const answer of answers) {
      const level = (() => answer) as unknown as () => string
      const answered = serviceAccount({ accounts: { billing: LEVELS }, allow: everybody, level })
      expect(await login(answered, alice), inspect(answer)).toBe(DENIED)
    }
  })

  test('are asked with the session and the request', async () => {
    const both = serviceAccount({
      accounts: { billing: LEVELS, crm: { levels: { reader: account('crm_ro') } } },
      allow: everybody,
      level: (session, { target }) => (target === 'crm' ? 'reader' : levelOf(session)),
    })
    expect(await login(both, member('admins'), 'crm')).toBe('crm_ro password of crm_ro')
    expect(await login(both, member('admins'))).toBe('billing_admin password of billing_admin')
  })

  test('a rule that fails is a denial', async () => {
    const level = (): string => {
      throw new Error('broken')
    }
    expect(await login(serviceAccount({ accounts: { billing: LEVELS }, allow: everybody, level }), alice)).toBe(DENIED)
  })

  test('what was decided for audit is what is issued, or nothing', async () => {
    const session = member('staff')
    const issuing = module.issue({ target: 'billing' }, contextOf(session, 'billing_admin'))
    expect(await issuing.catch(codeOf)).toBe(DENIED)
  })

  test('must not share an account, however it is spelled', () => {
    for (const [reader, administrator] of [
      ['billing', 'billing'],
      ['billing', 'BILLING'],
      ['rené', 'rene'],
      ['ſarah', 'sarah'],
      ['\u212aarl', 'karl'],
      ['straße', 'strasse'],
      ['billing', 'billing\u00a0'],
      ['billing', 'bill\u3164ing'],
    ] as const)
      expect(() =>
        serviceAccount({
          accounts: { billing: { levels: { reader: account(reader), administrator: account(administrator) } } },
          level: levelOf,
        }),
      ).toThrow('"accounts.billing.levels.administrator.username" must not be the one of level "reader"')
  })

  test('must not share a password', () => {
    const vault = given('one-for-both')
    const build = (reader: SecretSource, administrator: SecretSource) => () =>
      serviceAccount({
        accounts: {
          billing: {
            levels: {
              reader: { username: 'billing_ro', password: reader },
              administrator: { username: 'billing_admin', password: administrator },
            },
          },
        },
        level: levelOf,
      })
    for (const [reader, administrator] of [
      [{ env: 'SHARED' }, { env: 'SHARED' }],
      [{ file: '/run/secrets/a' }, { file: '/run/secrets/./a/' }],
      [vault, vault],
    ] as const)
      expect(build(reader, administrator)).toThrow(
        '"accounts.billing.levels.administrator.password" must not be the one of level "reader"',
      )
    build({ env: 'A' }, { env: 'B' })()
    build({ env: 'A' }, { file: '/A' })()
  })
})

describe('the request', () => {
  const { request } = serviceAccount({ accounts: {} })
  const validate = (value: unknown) => {
    const result = request['~standard'].validate(value)
    if (result instanceof Promise) throw new Error('is asynchronous')
    return result.issues === undefined ? result.value : undefined
  }

  test('is a target, and nothing else is passed on', () => {
    expect(validate({ target: 'billing' })).toEqual({ target: 'billing' })
    expect(validate({ target: 'billing', username: 'root', targetService: 'HTTP/x' })).toEqual({ target: 'billing' })
  })

  test('is refused where it is malformed', () => {
    for (const value of [
      undefined,
      null,
      'billing',
      {},
      { target: '' },
      { target: 7 },
      { target: 'x'.repeat(256) },
      [],
    ])
      expect(validate(value)).toBeUndefined()
  })
})

describe('the password', () => {
  test('is read each time, and is good for maxAge', async () => {
    let current = 'first-password'
    const accounts = { billing: { username: 'bill', password: async () => current } }
    const module = serviceAccount({ accounts, allow: everybody, maxAge: 5_000 })
    expect(module.maxAge).toBe(5_000)
    expect(serviceAccount({ accounts }).maxAge).toBe(60_000)
    expect(await login(module, alice)).toBe('bill first-password')
    current = 'second-password'
    expect(await login(module, alice)).toBe('bill second-password')
    const issued = await module.issue({ target: 'billing' }, contextOf(alice, 'bill'))
    expect(issued.expiresAt).toEqual(new Date(6_000))
  })

  test('that is missing is an outage, not a missing identity', async () => {
    const accounts = { billing: { username: 'bill', password: { env: 'MCP_DELEGATION_TEST_UNSET' } } }
    expect(await login(serviceAccount({ accounts, allow: everybody }), alice)).toBe('ERR_DELEGATION_UNAVAILABLE')
  })

  test('is a secret wherever the credential is printed', async () => {
    const module = serviceAccount({ accounts: { billing: account('bill') }, allow: everybody })
    const issued = await module.issue({ target: 'billing' }, contextOf(alice, 'bill'))
    for (const print of [inspect(issued, { depth: null, showHidden: true }), JSON.stringify(issued)])
      expect(print).not.toContain('password of bill')
    expect(inspect(module, { depth: null, showHidden: true })).not.toContain('password of bill')
  })

  test('is not handed out after an abort', async () => {
    const controller = new AbortController()
    let reads = 0
    const accounts = {
      billing: {
        username: 'bill',
        password: async () => {
          reads++
          controller.abort(new Error('nobody waits'))
          return 'too-late-password'
        },
      },
    }
    const module = serviceAccount({ accounts, allow: everybody })
    const issue = () => module.issue({ target: 'billing' }, contextOf(alice, 'bill', controller.signal))
    await expect(issue()).rejects.toThrow('nobody waits')
    await expect(issue()).rejects.toThrow('nobody waits')
    expect(reads).toBe(1)
  })

  test('is tried for every account by the check', async () => {
    const { signal } = new AbortController()
    const missing = { username: 'x', password: { env: 'MCP_DELEGATION_TEST_UNSET' } }
    await serviceAccount({ accounts: { billing: LEVELS, crm: account('crm_app') }, level: levelOf }).check?.({ signal })
    for (const accounts of [
      { billing: account('bill'), crm: missing },
      { billing: { levels: { reader: account('a'), administrator: missing } } },
    ]) {
      const level = 'crm' in accounts ? undefined : levelOf
      await expect(serviceAccount({ accounts, level } as ServiceAccountOptions).check?.({ signal })).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_DELEGATION_UNAVAILABLE' }),
      )
    }
  })
})

describe('refuses options', () => {
  const build = (options: unknown) => () => serviceAccount(options as ServiceAccountOptions)
  const refused: readonly (readonly [unknown, string])[] = [
    [undefined, '"accounts"'],
    [{}, '"accounts"'],
    [{ accounts: null }, '"accounts"'],
    [{ accounts: [] }, '"accounts"'],
    [{ accounts: { '': account('a') } }, '"accounts"'],
    [{ accounts: { 'a\nb': account('a') } }, '"accounts"'],
    [{ accounts: { a: null } }, '"accounts.a"'],
    [{ accounts: { a: 'root' } }, '"accounts.a"'],
    [{ accounts: { a: { password: given('x') } } }, '"accounts.a.username"'],
    [{ accounts: { a: account('') } }, '"accounts.a.username"'],
    [{ accounts: { a: account(' root') } }, '"accounts.a.username"'],
    [{ accounts: { a: account('root\n') } }, '"accounts.a.username"'],
    [{ accounts: { a: account('ro\u202eot') } }, '"accounts.a.username"'],
    [{ accounts: { a: account('\ud800') } }, '"accounts.a.username"'],
    [{ accounts: { a: account('é'.repeat(128)) } }, '"accounts.a.username"'],
    [{ accounts: { a: { username: 'a' } } }, '"accounts.a.password"'],
    [{ accounts: { a: { username: 'a', password: 'hunter2-hunter2' } } }, '"accounts.a.password"'],
    [{ accounts: { a: { username: 'a', password: { file: 'relative' } } } }, '"accounts.a.password"'],
    [{ accounts: { a: LEVELS } }, '"level"'],
    [{ accounts: { a: account('a') }, level: levelOf }, '"level"'],
    [{ accounts: { a: account('a') }, level: 'reader' }, '"level"'],
    [{ accounts: { a: { levels: null } }, level: levelOf }, '"accounts.a.levels"'],
    [{ accounts: { a: { levels: [] } }, level: levelOf }, '"accounts.a.levels"'],
    [{ accounts: { a: { ...LEVELS, ...account('a') } }, level: levelOf }, '"accounts.a"'],
    [{ accounts: { a: { levels: { r: { username: 'a' } } } }, level: levelOf }, '"accounts.a.levels.r.password"'],
    [{ accounts: {}, allow: true }, '"allow"'],
    [{ accounts: {}, allow: null }, '"allow"'],
    [{ accounts: {}, maxAge: 0 }, '"maxAge"'],
    [{ accounts: {}, maxAge: Number.NaN }, '"maxAge"'],
    [{ accounts: {}, maxAge: 2 ** 31 }, '"maxAge"'],
    [{ accounts: {}, maxAge: '60' }, '"maxAge"'],
  ]
  for (const [options, name] of refused)
    test(`${inspect(options, { depth: 4, breakLength: 200 }).slice(0, 120)}, naming ${name}`, () => {
      expect(build(options)).toThrow(TypeError)
      expect(build(options)).toThrow(new RegExp(`^${name.replaceAll('.', '\\.')}`))
      expect(build(options)).not.toThrow('hunter2')
    })
})
