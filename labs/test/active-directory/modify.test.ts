import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type AccountChanges,
  type ActiveDirectory,
  activeDirectory,
  isAvailable,
  type KeytabName,
  missing,
  type Outcome,
} from '../../src/active-directory/index.ts'

const BACKEND = 'HTTP/backend.corp.example'

describe.runIf(isAvailable('the Active Directory lab', missing()))('the running domain heeds', () => {
  let lab: ActiveDirectory
  beforeAll(async () => {
    lab = await activeDirectory()
  }, 60_000)
  afterAll(() => lab?.dispose())

  async function delegate(user: string, { service = 'svc-mcp', target = BACKEND } = {}): Promise<Outcome> {
    const keytab = lab.keytab(service as KeytabName)
    const ccache = `${service}-${user}-${Math.random()}`
    const login = await lab.run('kinit', ['-k', '-t', keytab, service], { ccache })
    if (login.status !== 0) return login
    return lab.run('kvno', ['-k', keytab, '-I', user, '-P', target], { ccache })
  }
  const outcome = async (user: string, how = {}): Promise<string> => {
    const mark = lab.mark()
    return (await delegate(user, how)).status === 0 ? 'works' : (lab.requests(mark).at(-1)?.outcome ?? 'nothing')
  }

  test.each<[string, AccountChanges, string, AccountChanges]>([
    ['user01', { disabled: true }, 'ERR_POLICY', { disabled: false }],
    ['user02', { sensitive: true }, 'ERR_BADOPTION', { sensitive: false }],
    ['user03', { expired: true }, 'ERR_NAME_EXP', { expired: false }],
    ['user04', { locked: true }, 'UNKNOWN-0', { locked: false }],
    ['user05', { mustChangePassword: true }, 'ERR_KEY_EXPIRED', { mustChangePassword: false }],
    ['user06', { rename: 'somebody' }, 'ERR_C_PRINCIPAL_UNKNOWN', {}],
    ['user07', { deleted: true }, 'ERR_C_PRINCIPAL_UNKNOWN', {}],
  ])('%s %j', async (user, change, expected, back) => {
    expect(await outcome(user)).toBe('works')
    await lab.modify(user, change)
    expect(await outcome(user)).toBe(expected)
    if (Object.keys(back).length === 0) return
    await lab.modify(user, back)
    expect(await outcome(user)).toBe('works')
  })

  test('the new name of an account', async () => {
    await lab.modify('Administrator', { rename: 'chief' })
    expect([await outcome('chief'), await outcome('Administrator')]).toEqual(['works', 'ERR_C_PRINCIPAL_UNKNOWN'])
  })

  test('the delegation list and the protocol transition of a service', async () => {
    expect(await outcome('alice', { service: 'svc-nodeleg' })).toBe('ERR_BADOPTION')
    await lab.modify('svc-nodeleg', { delegatesTo: [BACKEND] })
    expect(await outcome('alice', { service: 'svc-nodeleg' })).toBe('works')
    await lab.modify('svc-nodeleg', { protocolTransition: false })
    expect(await outcome('alice', { service: 'svc-nodeleg' })).toBe('ERR_BADOPTION')
    await lab.modify('svc-nodeleg', { protocolTransition: true, delegatesTo: [] })
    expect(await outcome('alice', { service: 'svc-nodeleg' })).toBe('ERR_BADOPTION')
  })

  test('the service principal names of a service', async () => {
    const target = 'HTTP/other.corp.example'
    expect(await outcome('alice', { target })).toBe('ERR_S_PRINCIPAL_UNKNOWN')
    await lab.modify('svc-secret', { servicePrincipalNames: [target] })
    expect(await outcome('alice', { target })).toBe('ERR_BADOPTION')
  })

  test('a new password: the old keytab is stale until it is exported again', async () => {
    const before = readFileSync(lab.keytab('svc-rbcdfront'))
    const login = () => lab.run('kinit', ['-k', '-t', lab.keytab('svc-rbcdfront'), 'svc-rbcdfront'])
    const versions = async () => (await lab.run('klist', ['-k', lab.keytab('svc-rbcdfront')])).stdout
    expect([(await login()).status, await versions()]).toEqual([0, expect.stringMatching(/^ +1 svc-rbcdfront/m)])
    await lab.modify('svc-rbcdfront', { password: 'An0ther-Passw0rd!' })
    expect(await login()).toMatchObject({ status: 1, stderr: expect.stringContaining('Preauthentication failed') })
    expect(readFileSync(lab.keytab('svc-rbcdfront'))).toEqual(before)
    await lab.exportKeytab('svc-rbcdfront')
    expect([(await login()).status, await versions()]).toEqual([0, expect.stringMatching(/^ +2 svc-rbcdfront/m)])
  })

  test('an account that does not exist is an error', async () => {
    await expect(lab.modify('mallory', { disabled: true })).rejects.toThrow(`there is no account 'mallory'`)
  })
})
