import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type ActiveDirectory, activeDirectory, isAvailable, missing } from '@mcp-delegation/labs/active-directory'
import {
  afterAll,
  test as anywhere,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  type TestAPI,
} from 'vitest'
import {
  type Acceptor,
  type KerberosProcess,
  type KerberosProcessOptions,
  launch,
  orderOf,
  startAcceptor,
  startFor,
} from '../fixtures/kerberos-process.ts'

/** A test that needs the domain. */
const test = anywhere.runIf(isAvailable('the Active Directory lab', missing())) as TestAPI

let lab: ActiveDirectory
let acceptor: Acceptor
let folder: string

beforeAll(async () => {
  lab = await activeDirectory()
  acceptor = startAcceptor(lab)
  folder = mkdtempSync(join(lab.folder, 'exports-'))
}, 60_000)

afterAll(async () => {
  acceptor?.stop()
  await lab?.dispose()
})

/** A process that is ready, for the time of the test. */
async function running(
  changes: Parameters<typeof startFor>[1] = {},
  options: KerberosProcessOptions = {},
): Promise<KerberosProcess> {
  const kerberos = launch(lab, options)
  onTestFinished(() => kerberos.stop())
  await kerberos.ask(startFor(lab, changes))
  return kerberos
}

async function ticketOf(kerberos: KerberosProcess, user = 'alice'): Promise<number> {
  const { ticket } = await kerberos.ask(orderOf(user))
  if (ticket === undefined) throw new Error('there is no ticket')
  return ticket
}

async function accepted(token: Buffer, bindings?: Uint8Array) {
  const shown = bindings === undefined ? {} : { bindings: Buffer.from(bindings).toString('base64') }
  return await acceptor.ask({ token: token.toString('base64'), ...shown })
}

/** How often the KDC was asked for a ticket to a target since then. */
function proxied(since: number): number {
  return lab.requests(since).filter(({ kind }) => kind === 'S4U2Proxy').length
}

test("tokens are the user's, all different, and cost the KDC nothing after the first ticket", async () => {
  const kerberos = await running()
  const facts = await kerberos.ask(orderOf('alice'))
  expect(facts).toMatchObject({
    client: 'alice@CORP.EXAMPLE',
    account: 'alice',
    sid: lab.sid('alice'),
    forwardable: true,
  })
  expect(facts.groups).toContain(`${lab.domainSid}-513`)
  expect(facts.groups).toContain(lab.sid('intranet-users'))
  expect(facts.expiresAt).toBeGreaterThan(Date.now() + 3_000_000)
  expect(facts.expiresAt).toBeLessThanOrEqual(Date.now() + 3_601_000)
  const bob = await ticketOf(kerberos, 'bob')
  const mark = lab.mark()
  const seen = new Set<string>()
  for (let turn = 0; turn < 20; turn++) {
    for (const [ticket, name] of [
      [facts.ticket as number, 'alice'],
      [bob, 'bob'],
    ] as const) {
      const { binary } = await kerberos.ask({ op: 'token', ticket })
      seen.add(binary.toString('base64'))
      expect((await accepted(binary)).client).toBe(`${name}@CORP.EXAMPLE`)
    }
  }
  expect(seen.size).toBe(40)
  expect(lab.requests(mark)).toEqual([])
})

test('a user is found by an enterprise name, and the backend sees the account', async () => {
  const kerberos = await running()
  const user = { name: 'jane@example.com', enterprise: true, realm: 'CORP.EXAMPLE' }
  const facts = await kerberos.ask(orderOf('', { user }))
  expect(facts).toMatchObject({ client: 'jdoe@CORP.EXAMPLE', account: 'jdoe', sid: lab.sid('jdoe') })
  const { binary } = await kerberos.ask({ op: 'token', ticket: facts.ticket as number })
  expect((await accepted(binary)).client).toBe('jdoe@CORP.EXAMPLE')
  const wrong = { ...user, name: 'jdoe@example.com' }
  await expect(kerberos.ask(orderOf('', { user: wrong }))).rejects.toMatchObject({ stage: 'self' })
})

test('an identity is read without a ticket for anything', async () => {
  const kerberos = await running()
  const mark = lab.mark()
  const facts = await kerberos.ask(orderOf('carol', { service: undefined }))
  expect(facts).toMatchObject({ client: 'carol@CORP.EXAMPLE', sid: lab.sid('carol'), forwardable: false })
  expect(facts.ticket).toBeUndefined()
  expect(proxied(mark)).toBe(0)
})

test.each([
  ['carol', 'not-delegated'],
  ['dave', 'not-delegated'],
  ['Administrator', 'privileged'],
  [' Administrator', 'other-account'],
  ['DC1$', 'machine'],
  ['DC1', 'other-account'],
  ['nora', 'privileged'],
] as const)('%s is refused as %s, before the KDC is asked for the target', async (user, refusal) => {
  const kerberos = await running()
  const mark = lab.mark()
  await expect(kerberos.ask(orderOf(user))).rejects.toMatchObject({ stage: 'judge', refusal })
  expect(proxied(mark)).toBe(0)
})

test('what the KDC refuses is told with its code, and with what the evidence says', async () => {
  const kerberos = await running()
  const secret = orderOf('alice', { service: 'HTTP/secret.corp.example@CORP.EXAMPLE' })
  await expect(kerberos.ask(secret)).rejects.toMatchObject({
    stage: 'proxy',
    major: 0xd0000,
    minor: -1765328371,
    text: expect.stringContaining("KDC can't fulfill requested option"),
    evidence: { forwardable: true, notDelegated: false },
  })
  await expect(kerberos.ask(orderOf('nobody-here'))).rejects.toMatchObject({ stage: 'self', minor: -1765328378 })
  const noTransition = await running({ principal: 'svc-noproto@CORP.EXAMPLE', keytabPath: lab.keytab('svc-noproto') })
  await expect(noTransition.ask(orderOf('alice'))).rejects.toMatchObject({
    stage: 'proxy',
    minor: -1765328371,
    evidence: { forwardable: false, notDelegated: false },
  })
})

test('errors of threads that fail at once are not mixed up', async () => {
  const kerberos = await running()
  const order = (turn: number) =>
    turn % 2 === 0 ? orderOf('erin') : orderOf('alice', { service: 'HTTP/nowhere.corp.example@CORP.EXAMPLE' })
  const failures = await Promise.all(Array.from({ length: 40 }, (_, turn) => kerberos.ask(order(turn)).catch((e) => e)))
  for (const [turn, failure] of failures.entries())
    expect(failure).toMatchObject(
      turn % 2 === 0
        ? { minor: -1765328372, text: expect.stringContaining('KDC policy rejects request') }
        : { minor: -1765328377, text: expect.stringContaining('Server not found') },
    )
})

describe('a security context', () => {
  let kerberos: KerberosProcess
  let ticket: number
  beforeEach(async () => {
    kerberos = await running()
    ticket = await ticketOf(kerberos)
  })

  async function established(security: 'integrity' | 'confidentiality' | undefined): Promise<number> {
    const opened = await kerberos.ask({ op: 'context', ticket, security })
    expect(opened.done).toBe(false)
    const { token = '', done } = await accepted(opened.binary)
    expect(done).toBe(true)
    const last = await kerberos.ask({ op: 'step', context: opened.context }, Buffer.from(token, 'base64'))
    expect(last.done).toBe(true)
    expect(last.binary).toHaveLength(0)
    return opened.context
  }

  test.each(['integrity', 'confidentiality'] as const)('carries messages both ways with %s', async (security) => {
    const context = await established(security)
    const confidential = security === 'confidentiality'
    for (const length of [0, 1, 1000, 70_000]) {
      const message = Buffer.alloc(length, 'x')
      const { binary } = await kerberos.ask({ op: 'wrap', context, encrypted: confidential }, message)
      expect(binary.includes('xxxxxxxxxxxxxxxx')).toBe(!confidential && length > 1)
      const opened = await acceptor.ask({ unwrap: binary.toString('base64') })
      expect(opened).toEqual({ message: message.toString('base64'), confidential })
      const reply = await acceptor.ask({ wrap: message.toString('base64'), confidential })
      const back = await kerberos.ask(
        { op: 'unwrap', context, encrypted: confidential },
        Buffer.from(reply.message ?? '', 'base64'),
      )
      expect(back.binary.equals(message)).toBe(true)
    }
  })

  test('refuses a message that is not encrypted as asked, and is dead then', async () => {
    const context = await established('confidentiality')
    const { message = '' } = await acceptor.ask({ wrap: 'aGVsbG8=', confidential: false })
    await expect(
      kerberos.ask({ op: 'unwrap', context, encrypted: true }, Buffer.from(message, 'base64')),
    ).rejects.toMatchObject({
      stage: 'context',
      text: expect.stringContaining('not encrypted'),
    })
    await expect(kerberos.ask({ op: 'wrap', context, encrypted: false }, Buffer.from('x'))).rejects.toMatchObject({
      stage: 'context',
    })
  })

  test('takes a message that is not encrypted where it is not asked to be, as SASL needs to agree on encryption', async () => {
    const context = await established('confidentiality')
    const { message = '' } = await acceptor.ask({ wrap: 'aGVsbG8=', confidential: false })
    const { binary } = await kerberos.ask({ op: 'unwrap', context, encrypted: false }, Buffer.from(message, 'base64'))
    expect(binary.toString()).toBe('hello')
  })

  test('refuses what was changed, and what was sent before', async () => {
    const context = await established('integrity')
    const { message = '' } = await acceptor.ask({ wrap: 'aGVsbG8=', confidential: false })
    const sent = Buffer.from(message, 'base64')
    await kerberos.ask({ op: 'unwrap', context, encrypted: false }, sent)
    await expect(kerberos.ask({ op: 'unwrap', context, encrypted: false }, sent)).rejects.toMatchObject({
      stage: 'context',
    })
    const second = await established('integrity')
    const changed = Buffer.from((await acceptor.ask({ wrap: 'aGVsbG8=', confidential: false })).message ?? '', 'base64')
    changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1
    await expect(kerberos.ask({ op: 'unwrap', context: second, encrypted: false }, changed)).rejects.toMatchObject({
      stage: 'context',
    })
  })

  test('refuses an answer that is none, and is dead then', async () => {
    const opened = await kerberos.ask({ op: 'context', ticket, security: undefined })
    const step = { op: 'step', context: opened.context } as const
    await expect(kerberos.ask(step, Buffer.from('nonsense'))).rejects.toMatchObject({ stage: 'context' })
    const { token = '' } = await accepted(opened.binary)
    await expect(kerberos.ask(step, Buffer.from(token, 'base64'))).rejects.toMatchObject({ stage: 'context' })
  })

  test('protects nothing without a layer, and nothing before it is established', async () => {
    const plain = await established(undefined)
    await expect(
      kerberos.ask({ op: 'wrap', context: plain, encrypted: false }, Buffer.from('x')),
    ).rejects.toMatchObject({
      text: 'the context protects no messages',
    })
    const early = await kerberos.ask({ op: 'context', ticket, security: 'integrity' })
    await expect(
      kerberos.ask({ op: 'wrap', context: early.context, encrypted: false }, Buffer.from('x')),
    ).rejects.toMatchObject({
      text: 'the context is not established',
    })
  })

  test('ends with its ticket', async () => {
    const context = await established('integrity')
    await kerberos.ask({ op: 'release', ticket })
    await expect(kerberos.ask({ op: 'wrap', context, encrypted: false }, Buffer.from('x'))).rejects.toMatchObject({
      stage: 'context',
    })
    await expect(kerberos.ask({ op: 'token', ticket })).rejects.toMatchObject({ stage: 'token' })
  })
})

test('channel bindings are in the token: the same are accepted, others are not', async () => {
  const kerberos = await running()
  const ticket = await ticketOf(kerberos)
  const bindings = Buffer.from('tls-server-end-point:0123456789abcdef')
  const bound = async () => (await kerberos.ask({ op: 'token', ticket }, bindings)).binary
  expect((await accepted(await bound(), bindings)).client).toBe('alice@CORP.EXAMPLE')
  expect((await accepted(await bound(), Buffer.from('tls-server-end-point:other'))).failed).toBe('0x40000')
  const context = await kerberos.ask({ op: 'context', ticket, security: 'integrity' }, bindings)
  expect((await accepted(context.binary, Buffer.from('other'))).failed).toBe('0x40000')
})

describe('an exported cache', () => {
  test('holds the ticket alone, for us alone, and is removed when told', async () => {
    const kerberos = await running()
    const ticket = await ticketOf(kerberos)
    const path = join(folder, 'alone')
    await kerberos.ask({ op: 'export', ticket, path })
    expect(statSync(path).mode & 0o7777).toBe(0o600)
    const { stdout } = await lab.run('klist', ['-c', `FILE:${path}`, '-f', '-e'])
    expect(stdout).toContain('Default principal: alice@CORP.EXAMPLE')
    expect(stdout.match(/@CORP\.EXAMPLE$/gm)?.length).toBe(2)
    expect(stdout).toContain('HTTP/backend.corp.example@CORP.EXAMPLE')
    const bytes = readFileSync(path)
    for (const secret of ['krbtgt', 'svc-mcp', 'X-CACHECONF']) expect(bytes.includes(secret)).toBe(false)
    await kerberos.ask({ op: 'release', ticket })
    await kerberos.ask({ op: 'remove', path })
    expect(existsSync(path)).toBe(false)
  })

  test('is never written over a file, and other files are never removed', async () => {
    const kerberos = await running()
    const ticket = await ticketOf(kerberos)
    const path = join(folder, 'taken')
    writeFileSync(path, 'precious')
    await expect(kerberos.ask({ op: 'export', ticket, path })).rejects.toMatchObject({ stage: 'export' })
    await expect(kerberos.ask({ op: 'export', ticket, path: 'relative' })).rejects.toMatchObject({ stage: 'export' })
    await kerberos.ask({ op: 'remove', path })
    expect(readFileSync(path, 'utf8')).toBe('precious')
    rmSync(path)
  })

  test('goes when the channel ends', async () => {
    const kerberos = await running()
    const path = join(folder, 'left')
    await kerberos.ask({ op: 'export', ticket: await ticketOf(kerberos), path })
    kerberos.channel.destroy()
    await kerberos.ended
    expect(existsSync(path)).toBe(false)
  })
})

test('what nobody waits for any more is not asked for', async () => {
  const kerberos = await running()
  await kerberos.ask({ op: 'check' })
  const start = lab.mark()
  lab.pause()
  const obtained = kerberos.ask({ ...orderOf('alice'), order: 7 })
  obtained.catch(() => {})
  // Answered by the main thread, after it has handed on the order.
  await kerberos.ask({ op: 'close', context: 0 })
  await kerberos.ask({ op: 'cancel', order: 7 })
  await kerberos.ask({ op: 'cancel', order: 8 })
  lab.resume()
  await expect(obtained).rejects.toMatchObject({ text: expect.stringContaining('nobody waits') })
  expect(lab.requests(start).filter(({ kind }) => kind === 'S4U2Proxy')).toEqual([])
  await expect(kerberos.ask({ ...orderOf('alice'), order: 9 })).resolves.toMatchObject({ client: 'alice@CORP.EXAMPLE' })
})

describe('the process', () => {
  test('is gone within a second of the end of its channel, whatever its threads wait for', async () => {
    const kerberos = await running()
    await kerberos.ask({ op: 'check' })
    lab.pause()
    onTestFinished(() => lab.resume())
    for (const user of ['alice', 'bob', 'ivan']) kerberos.ask(orderOf(user)).catch(() => {})
    // Answered by the main thread, after it has handed on the orders.
    await kerberos.ask({ op: 'close', context: 0 })
    const from = performance.now()
    kerberos.channel.end()
    expect(await kerberos.ended).toBe('SIGKILL')
    expect(performance.now() - from).toBeLessThan(1000)
    expect(existsSync(dirname(kerberos.profile))).toBe(false)
  })

  test('dies of a frame that it does not understand', async () => {
    const kerberos = await running()
    kerberos.channel.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    expect(await kerberos.ended).toBe('SIGKILL')
  })

  test('leaves no core dump, lets nobody look into it, and no debugger in', async () => {
    const kerberos = await running()
    expect(readFileSync(`/proc/${kerberos.pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m)
    // Where a process is not dumpable, its files belong to root and its memory map is closed to its own user.
    if (process.getuid?.() !== 0) expect(statSync(`/proc/${kerberos.pid}/status`).uid).toBe(0)
    for (const signal of ['SIGUSR1', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(kerberos.pid, signal)
    await kerberos.ask({ op: 'check' })
    expect(kerberos.words()).toBe('')
  })

  test('never speaks with the default credential cache or keytab of its environment', async () => {
    await lab.run('kinit', ['-k', '-t', lab.keytab('users'), 'bob'])
    const env = { KRB5CCNAME: `FILE:${lab.ccache()}`, KRB5_CLIENT_KTNAME: `FILE:${lab.keytab('users')}` }
    const kerberos = await running({}, { env })
    const { binary } = await kerberos.ask({ op: 'token', ticket: await ticketOf(kerberos) })
    expect((await accepted(binary)).client).toBe('alice@CORP.EXAMPLE')
  })

  test('says what is wrong with a keytab', async () => {
    const kerberos = launch(lab)
    onTestFinished(() => kerberos.stop())
    const start = startFor(lab, { keytabPath: lab.keytab('backend') })
    await expect(kerberos.ask(start)).rejects.toMatchObject({
      stage: 'keytab',
      text: expect.stringContaining('svc-mcp@CORP.EXAMPLE'),
    })
  })
})

describe("the service's own ticket", () => {
  test('is asked for once, however many need it', async () => {
    const kerberos = await running()
    const mark = lab.mark()
    await Promise.all(['alice', 'bob', 'ivan', 'user01', 'user02'].map((user) => kerberos.ask(orderOf(user))))
    const own = lab.requests(mark).filter(({ kind }) => kind === 'AS')
    expect(own.filter(({ outcome }) => outcome === 'SUCCESS')).toHaveLength(1)
  })

  test('is renewed before it ends, and a ticket that the KDC does not take is replaced', async () => {
    // Samba takes no ticket with less than two minutes left, so that one of 124 seconds is good for four.
    const kerberos = await running({}, { ticketLifetime: 124_000 })
    await kerberos.ask(orderOf('alice'))
    const mark = lab.mark()
    await new Promise((resolve) => setTimeout(resolve, 5_500))
    await kerberos.ask(orderOf('bob'))
    expect(lab.requests(mark).some(({ kind, outcome }) => kind === 'AS' && outcome === 'SUCCESS')).toBe(true)
  })

  test('is asked for with the keytab of now, without a restart', async () => {
    const kerberos = await running()
    await kerberos.ask(orderOf('alice'))
    await lab.modify('svc-mcp', { password: 'Another-Passw0rd-2!' })
    // The evidence is for the new key, which is not in the keytab yet.
    await expect(kerberos.ask(orderOf('bob'))).rejects.toMatchObject({ stage: 'accept' })
    await lab.exportKeytab('svc-mcp')
    const { binary } = await kerberos.ask({ op: 'token', ticket: await ticketOf(kerberos, 'bob') })
    expect((await accepted(binary)).client).toBe('bob@CORP.EXAMPLE')
  })
})
