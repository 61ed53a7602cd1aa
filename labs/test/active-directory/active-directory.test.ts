import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ActiveDirectory, activeDirectory, isAvailable, missing } from '../../src/active-directory/index.ts'

const BACKEND = 'HTTP/backend.corp.example'

/** Gets a ticket of `user` for the backend by delegation, with MIT's own programs. */
async function delegate(lab: ActiveDirectory, user: string, { service = 'svc-mcp', target = BACKEND } = {}) {
  const keytab = lab.keytab(service as 'svc-mcp')
  const ccache = `${service}-${user}-${Math.random()}`
  const login = await lab.run('kinit', ['-k', '-t', keytab, service], { ccache })
  if (login.status !== 0) return login
  return lab.run('kvno', ['-k', keytab, '-I', user, '-P', target], { ccache })
}
const login = (lab: ActiveDirectory, user: string, password = 'Us3r-Passw0rd!') =>
  lab.run('kinit', [user], { ccache: `login-${user}`, input: `${password}\n` })

describe.runIf(isAvailable('the Active Directory lab', missing()))('the domain', () => {
  let lab: ActiveDirectory
  beforeAll(async () => {
    lab = await activeDirectory()
  }, 60_000)
  afterAll(() => lab?.dispose())

  describe('delegates', () => {
    test('a user to an allowed backend', async () => {
      const mark = lab.mark()
      expect(await delegate(lab, 'alice')).toMatchObject({ status: 0, stdout: expect.stringContaining(BACKEND) })
      const requests = lab
        .requests(mark)
        .map(({ kind, client, server, impersonated, outcome }) =>
          [kind, client, server, impersonated, outcome].join(' '),
        )
      const [service, user, target] = ['svc-mcp', 'alice', BACKEND].map((name) => `${name}@CORP.EXAMPLE`)
      expect(requests).toEqual([
        `AS ${service} krbtgt/CORP.EXAMPLE@CORP.EXAMPLE  ERR_PREAUTH_REQUIRED`,
        `AS ${service} krbtgt/CORP.EXAMPLE@CORP.EXAMPLE  SUCCESS`,
        `S4U2Self ${service} ${service} ${user} SUCCESS`,
        `S4U2Proxy ${service} ${target} ${user} SUCCESS`,
      ])
    })
    test.each([
      ['a target that is not listed', 'alice', { target: 'HTTP/secret.corp.example' }, 'S4U2Proxy', 13, /not allowed/],
      ['a service without protocol transition', 'alice', { service: 'svc-noproto' }, 'S4U2Proxy', 13, /forwardable/],
      ['a service with an empty list', 'alice', { service: 'svc-nodeleg' }, 'S4U2Proxy', 13, /not allowed/],
      ['a target that nobody has', 'alice', { target: 'HTTP/nowhere.corp.example' }, 'S4U2Proxy', 7, /unknown/],
      ['a sensitive user', 'carol', {}, 'S4U2Proxy', 13, /forwardable/],
      ['a user that must change the password', 'grace', {}, 'S4U2Proxy', 23, /expired/],
      ['a disabled user', 'erin', {}, 'S4U2Self', 12, /may not act as client/],
      ['an expired user', 'frank', {}, 'S4U2Self', 1, /expired/],
      ['a user that is locked out', 'lola', {}, 'S4U2Self', 18, /locked out/],
      ['nobody', 'nobody', {}, 'S4U2Self', 6, /not found/],
    ] as const)('but refuses %s', async (_, user, how, kind, code, reason) => {
      const mark = lab.mark()
      expect((await delegate(lab, user, how)).status).toBe(1)
      expect(lab.requests(mark).at(-1)).toMatchObject({ kind, code, reason: expect.stringMatching(reason) })
    })
    test.each(['bob', 'ivan', 'jane', 'jdoe', 'user01', 'user20'])('%s', async (user) => {
      expect(await delegate(lab, user)).toMatchObject({ status: 0 })
    })
    test('also members of powerful groups: refusing them is not what this KDC does', async () => {
      for (const user of ['dora', 'nora', 'bert', 'dave', 'Administrator'])
        expect(await delegate(lab, user)).toMatchObject({ status: 0 })
    })
  })

  test('finds the user with another UPN by it, and not the one whose name it suggests', async () => {
    const mark = lab.mark()
    const ccache = 'upn'
    await lab.run('kinit', ['-k', '-t', lab.keytab('svc-mcp'), 'svc-mcp'], { ccache })
    const args = ['-k', lab.keytab('svc-mcp'), '-U', 'jane@example.com', '-P', BACKEND]
    expect(await lab.run('kvno', args, { ccache })).toMatchObject({ status: 0 })
    const log = readFileSync(join(lab.folder, 'domain/log/samba.log'), 'utf8').slice(mark)
    expect(log).toMatch(/TGS-REQ SUCCESS .* HTTP\/backend\S* .*canon_client_name=jdoe@CORP\.EXAMPLE/)
  })

  test('has keytabs that belong to this user and are closed to others', () => {
    const { uid, mode } = statSync(lab.keytab('svc-mcp'))
    expect([uid, mode & 0o777]).toEqual([process.getuid?.(), 0o600])
  })

  test('knows the SIDs of its accounts', () => {
    expect(lab.sid('alice')).toMatch(new RegExp(`^${lab.domainSid}-\\d+$`))
    expect(lab.accountOf(lab.sid('FILES$'))).toBe('FILES$')
    expect(() => lab.sid('mallory')).toThrow('the lab has no account "mallory"')
  })

  test('runs from files of its own, none of the original', () => {
    const pid = readFileSync(join(lab.folder, 'domain/run/samba.pid'), 'utf8').trim()
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    const mapped = [...readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/ (\/\S+)$/gm)].map(([, path = '']) => path)
    const files = [...open, ...mapped].filter((path) => path.includes('mcp-delegation-labs'))
    expect(files.some((path) => path.endsWith('.ldb') || path.includes('sam.ldb.d'))).toBe(true)
    expect(files.filter((path) => !path.startsWith(`${lab.folder}/`))).toEqual([])
  })

  test('does not run as root', () => {
    const pid = readFileSync(join(lab.folder, 'domain/run/samba.pid'), 'utf8').trim()
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).not.toMatch(/^Uid:.*\b0\b/m)
  })
})

describe.runIf(isAvailable('the Active Directory lab', missing()))('a lab', () => {
  test('sees nothing of another one', async () => {
    await using one = await activeDirectory()
    await using other = await activeDirectory()
    expect(one.address).not.toBe(other.address)
    await one.modify('alice', { password: 'An0ther-Passw0rd!' })
    expect([(await login(one, 'alice')).status, (await login(other, 'alice')).status]).toEqual([1, 0])
    expect(one.requests().at(-1)).toMatchObject({ kind: 'AS', outcome: 'ERR_PREAUTH_FAILED', code: 24 })
    expect(other.requests().map(({ outcome }) => outcome)).toEqual(['ERR_PREAUTH_REQUIRED', 'SUCCESS'])
  })

  test('hangs and comes back', async () => {
    await using lab = await activeDirectory()
    lab.pause()
    const waiting = login(lab, 'alice')
    const first = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 300, 'nothing yet'))])
    expect(first).toBe('nothing yet')
    lab.resume()
    expect((await waiting).status).toBe(0)
  })

  test('refuses connections while it is halted, and has the same accounts and address afterwards', async () => {
    await using lab = await activeDirectory()
    await lab.modify('bob', { disabled: true })
    await lab.halt()
    expect(await login(lab, 'alice')).toMatchObject({ status: 1, stderr: expect.stringContaining('Cannot contact') })
    await lab.restart()
    expect([(await login(lab, 'alice')).status, (await login(lab, 'bob')).status]).toEqual([0, 1])
  })

  test('is gone when it is disposed, also while it hangs', async () => {
    const lab = await activeDirectory()
    const pid = Number(readFileSync(join(lab.folder, 'domain/run/samba.pid'), 'utf8'))
    lab.pause()
    await lab.dispose()
    expect(existsSync(lab.folder)).toBe(false)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    await lab.dispose()
  })

  test.each(['+6m', '-6m'])('has a clock of its own: %s', async (clock) => {
    await using lab = await activeDirectory({ clock })
    expect(await login(lab, 'alice')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Clock skew too great'),
    })
    const ahead = ((lab.requests().at(-1)?.at.getTime() ?? 0) - Date.now()) / 60_000
    expect(ahead).toBeCloseTo(Number.parseInt(clock, 10), 0)
  })

  test('takes no clock that it does not understand', async () => {
    await expect(activeDirectory({ clock: 'tomorrow' })).rejects.toThrow(
      new TypeError('"clock" must be like "+6m" or "-30s"'),
    )
  })
})
