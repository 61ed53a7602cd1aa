import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDelegationError, type Session } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { type ActiveDirectory, activeDirectory } from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, expect } from 'vitest'
import { children, isRunning } from '../fixtures/fake-engine.ts'
import { type Acceptor, startAcceptor } from '../fixtures/kerberos-process.ts'
import { BACKEND, ISSUER, intranet, test } from './support.ts'

const SEED = Number(process.env['STORM_SEED'] ?? 1)
const DURATION = Number(process.env['STORM_MS'] ?? 6_000)
const KRB5_OID = Buffer.from('06092a864886f712010202', 'hex')

let lab: ActiveDirectory
let acceptor: Acceptor

beforeAll(async () => {
  lab = await activeDirectory()
  acceptor = startAcceptor(lab)
}, 60_000)

afterAll(async () => {
  acceptor?.stop()
  await lab?.dispose()
})

/** Numbers from 0 to 1, the same ones for the same seed. */
function randoms(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const engines = (): readonly number[] =>
  children().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('engine/main.js') && isRunning(pid)
    } catch {
      return false
    }
  })

/** The krb5 token within `Negotiate …`, with its header. */
function tokenOf(authorization: string): Buffer {
  const bytes = Buffer.from(authorization.slice('Negotiate '.length), 'base64')
  return bytes.subarray(bytes.lastIndexOf(KRB5_OID) - 4)
}

test('through crashes, stops and outages every token is its user’s, every failure is typed, and nothing stays', async () => {
  const random = randoms(SEED)
  const { registry } = intranet(lab, { deadline: 1_000, allowExport: [BACKEND] })
  const failures: unknown[] = []
  const files: string[] = []
  const accepted: string[] = []
  const wrong: string[] = []
  let turn: Promise<unknown> = Promise.resolve()

  const attempt = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work
    } catch (error) {
      if (!isDelegationError(error) && (error as Error).name !== 'AbortError') failures.push(error)
      return undefined
    }
  }
  const clientOf = (authorization: string): Promise<string | undefined> => {
    const answer = turn.then(() => acceptor.ask({ token: tokenOf(authorization).toString('base64') }))
    turn = answer
    return answer.then(({ client }) => client)
  }
  const visit = async (subject: string, session: Session): Promise<void> => {
    const caller = new AbortController()
    if (random() < 0.2) setTimeout(() => caller.abort(), random() * 40)
    const options = { signal: caller.signal }
    const lease = await attempt(registry.delegate('intranet', session, { targetService: BACKEND }, options))
    if (lease === undefined) return
    const { value } = lease
    const header = await attempt(value.negotiate())
    const client = header && (await clientOf(header))
    if (client !== undefined) accepted.push(client)
    if (header !== undefined && client !== `${subject}@CORP.EXAMPLE`) wrong.push(`${client} for ${subject}`)
    if (random() < 0.3) await attempt(value.context({ security: 'integrity' }))
    const cache = random() < 0.3 ? await attempt(value.exportCredentialCache()) : undefined
    if (cache !== undefined) files.push(cache.path)
    if (random() < 0.1) lease.invalidate()
    await lease[Symbol.asyncDispose]()
  }

  const end = performance.now() + DURATION
  const weather = (async () => {
    while (performance.now() < end) {
      await sleep(200 + random() * 600)
      const [pid] = engines()
      const kind = random()
      if (kind < 0.3 && pid !== undefined) process.kill(pid, kind < 0.15 ? 'SIGKILL' : 'SIGSEGV')
      else if (kind < 0.5 && pid !== undefined) process.kill(pid, 'SIGSTOP')
      else if (kind < 0.7) {
        lab.pause()
        await sleep(random() * 800)
        lab.resume()
      } else if (kind < 0.8) {
        await lab.halt()
        await lab.restart()
      }
    }
  })()
  const visits: Promise<void>[] = []
  while (performance.now() < end) {
    const subject = `user${String(1 + Math.floor(random() * 20)).padStart(2, '0')}`
    visits.push(visit(subject, testSession({ issuer: ISSUER, subject })))
    await sleep(random() * 20)
  }
  await Promise.all([weather, ...visits])
  await expect
    .poll(
      () =>
        attempt(
          registry.delegate('intranet', testSession({ issuer: ISSUER, subject: 'bob' }), { targetService: BACKEND }),
        ),
      {
        timeout: 20_000,
        interval: 200,
      },
    )
    .toMatchObject({ principal: 'bob@CORP.EXAMPLE' })
  await registry[Symbol.asyncDispose]()
  expect(wrong).toEqual([])
  expect(failures).toEqual([])
  expect(accepted).not.toEqual([])
  expect(files.filter((path) => existsSync(dirname(path)))).toEqual([])
  expect(engines()).toEqual([])
}, 60_000)
