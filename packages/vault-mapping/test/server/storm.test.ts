import { readFileSync } from 'node:fs'
import { isDelegationError, type Session } from '@mcp-delegation/core'
import { isAvailable, missing, unstoppableBecause, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { database } from '../../src/sources/database.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import {
  dynamicUsers,
  eventually,
  givePersonalRoles,
  optionsFor,
  registryOf,
  sessionsOf,
  usableTokens,
  whoAmI,
} from './support.ts'

/** Repeats the choices of another run. */
const SEED = Number(process.env['STORM_SEED'] ?? Date.now() % 2 ** 31)
/** For longer runs: the server is killed once in each 400. */
const REQUESTS = Number(process.env['STORM_REQUESTS'] ?? 400)
const BETWEEN_KILLS = 400
const USERS = Array.from({ length: 8 }, (_, index) => `user${index}`)
const CALLERS = 3 * USERS.length
const GROUPS = [['staff'], ['staff', 'billing']]
/** Several ways to the same: many entries. */
const DATABASES = ['db0', 'db1'] as const
const SECRETS = ['kv0', 'kv1'] as const
/** Longer than is waited for what is left: nothing is gone because its time is over. */
const TOKEN_TTL = 30_000
const SETTLING = 8_000

/** Numbers from 0 to 1, the same ones for the same seed. */
function randoms(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe.runIf(isAvailable('a Vault lab that can be killed', [...missing(), ...unstoppableBecause()]))(
  'a storm of callers',
  () => {
    let lab: VaultLab
    const sessions = new Map<string, readonly Session[]>()
    beforeAll(async () => {
      lab = await vault({ postgresql: true, tokenTtl: TOKEN_TTL, tokenMaxTtl: TOKEN_TTL })
      await givePersonalRoles(lab, USERS, { default_ttl: '3s', max_ttl: '10s' })
      const sessionOf = sessionsOf(lab)
      for (const user of USERS) {
        const data = { username: `${user}@vsphere.local`, password: `password-of-${user}` }
        await lab.request('POST', `${lab.mounts.kv2}/data/users/${user}/vcenter`, { data })
        sessions.set(user, await Promise.all(GROUPS.map((groups) => sessionOf(user, { groups }))))
      }
    }, 60_000)
    afterAll(() => lab?.dispose())

    function setting() {
      const db = database({ mount: lab.mounts.database, role: '{principal}' })
      const kv = kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
      const targets = { db0: db, db1: db, kv0: kv, kv1: kv, after: db }
      const options = optionsFor(lab, targets, { maxAge: 2_000, deadline: 3_000, timeout: 1_000 })
      return registryOf({ vault: vaultMapping(options) }).registry
    }

    /** Of the users' logins that the server has answered: one that was killed as it did may not have got so far. */
    function answeredLogins(kills: readonly number[]): ReadonlySet<string> {
      const answered = new Set<string>()
      for (const line of readFileSync(lab.issuedFile, 'utf8').split('\n')) {
        if (!line.includes('"type":"response"') || !line.endsWith('}')) continue
        const { time, response } = JSON.parse(line) as { time: string; response?: { auth?: { accessor: string } } }
        const accessor = response?.auth?.accessor
        const isCutOff = kills.some((at) => Math.abs(at - Date.parse(time)) < 100)
        if (accessor !== undefined && !isCutOff) answered.add(accessor)
      }
      return answered
    }

    /** The tokens that our logins got and can be used: a server that is killed may leave some that it was revoking. */
    async function livingTokens(kills: readonly number[]): Promise<readonly string[]> {
      const answered = answeredLogins(kills)
      return (await usableTokens(lab)).filter((accessor) => answered.has(accessor))
    }

    /** What the server has left, but for database users that it made and was killed before it leased them. */
    async function left(kills: readonly number[]): Promise<unknown> {
      // A name ends with the second in which it was made.
      const isCutOff = (name: string): boolean => {
        const madeAt = Number(name.split('-').at(-1)) * 1_000
        return kills.some((at) => madeAt > at - 2_000 && madeAt < at + 1_000)
      }
      const users = (await dynamicUsers(lab)).filter((name) => !isCutOff(name))
      return { leases: await lab.leases(), tokens: await livingTokens(kills), users }
    }

    test(
      'through crashes every credential is its caller’s own, every failure is an outage, and nothing stays',
      async () => {
        const registry = setting()
        const wrong: string[] = []
        const unexpected: unknown[] = []
        const kills: number[] = []
        const counts = { served: 0, failed: 0, aborted: 0, loggedIn: 0 }
        const unhandled = (reason: unknown): void => void unexpected.push(reason)
        process.on('unhandledRejection', unhandled)

        const visit = async (user: string, random: () => number): Promise<void> => {
          const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
          const target = one([...DATABASES, ...SECRETS])
          const caller = new AbortController()
          const timer = random() < 0.1 ? setTimeout(() => caller.abort(), random() * 20) : undefined
          const [triesIt, fate, hold] = [random() < 0.1, random(), random() * 150]
          const session = one(sessions.get(user) ?? []) as Session
          try {
            const lease = await registry.delegate('vault', session, { target }, { signal: caller.signal })
            counts.served++
            const { username, password } = lease.value
            const isOwn = target.startsWith('kv')
              ? username === `${user}@vsphere.local` && password.reveal() === `password-of-${user}`
              : username.includes(`-${user}-`) && username === lease.principal
            if (!isOwn) wrong.push(`${username} for ${user}`)
            if (triesIt && target.startsWith('db')) {
              const name = await whoAmI(lab, lease.value).catch(() => 'nobody')
              counts.loggedIn++
              if (name !== username && lease.expiresAt.getTime() > Date.now()) wrong.push(`${username} is ${name}`)
            }
            // One in ten is forgotten.
            if (fate < 0.1) return
            if (fate < 0.3) await sleep(hold)
            if (fate < 0.5) lease.invalidate()
            await lease[Symbol.asyncDispose]()
          } catch (error) {
            if (caller.signal.aborted && error === caller.signal.reason) counts.aborted++
            else if (isDelegationError(error) && error.code === 'ERR_DELEGATION_UNAVAILABLE') counts.failed++
            else unexpected.push(error)
            await sleep(50 + hold)
          } finally {
            clearTimeout(timer)
          }
        }

        const crash = async (): Promise<void> => {
          kills.push(Date.now())
          await lab.kill()
          await sleep(200)
          await lab.restart()
        }
        let made = 0
        let crashes = Promise.resolve()
        const call = async (index: number): Promise<void> => {
          const random = randoms(SEED + index)
          while (made < REQUESTS) {
            if (++made % BETWEEN_KILLS === BETWEEN_KILLS / 2) crashes = crashes.then(crash)
            await visit(USERS[index % USERS.length] as string, random)
          }
        }
        await Promise.all(Array.from({ length: CALLERS }, (_, index) => call(index)))
        await crashes

        const recovered = await eventually(
          () =>
            Promise.allSettled(
              USERS.map((user) =>
                registry.delegate('vault', (sessions.get(user) as readonly Session[])[0] as Session, {
                  target: 'after',
                }),
              ),
            ),
          (all) => all.every(({ status }) => status === 'fulfilled'),
        )
        await registry[Symbol.asyncDispose]()
        const nothing = { leases: [], tokens: [], users: [] }
        const isNothing = (found: unknown): boolean => JSON.stringify(found) === JSON.stringify(nothing)
        const remains = await eventually(() => left(kills), isNothing, SETTLING)
        process.off('unhandledRejection', unhandled)

        const run = `STORM_SEED=${SEED} STORM_REQUESTS=${REQUESTS}: ${JSON.stringify(counts)}`
        expect(wrong, run).toEqual([])
        expect(unexpected, run).toEqual([])
        expect(
          recovered.map(({ status }) => status),
          run,
        ).toEqual(USERS.map(() => 'fulfilled'))
        expect(remains, run).toEqual(nothing)
        expect(counts.served, run).toBeGreaterThan(REQUESTS / 2)
        expect(counts.failed, run).toBeGreaterThan(0)
        expect(counts.loggedIn, run).toBeGreaterThan(0)
      },
      60_000 + REQUESTS * 50,
    )
  },
)
