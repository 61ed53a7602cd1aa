// Kills the server, twice, while callers hold, refuse, forget and drop credentials, and looks at what they got, how they
// failed, and what is left. STORM_SEED repeats the choices of another run.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDelegationError } from '@mcp-delegation/core'
import { database, kv2 } from '@mcp-delegation/vault'
import { timed } from './common/measure.mjs'
import { randomOf } from './common/random.mjs'
import { bound, figure, report } from './common/report.mjs'
import { mapAtOnce, must, registryFor, sessionsOf, withVault, writeSecrets } from './common/vault.mjs'

const USERS = Array.from({ length: 50 }, (_, index) => `user${String(index).padStart(2, '0')}`)
const REQUESTS = 10_000
const CALLERS = 4 * USERS.length
/** When the server is killed: after how many of the requests. */
const KILLS = [0.3, 0.65].map((share) => share * REQUESTS)
/** When is measured what it takes to serve everybody without that. */
const BEFORE = 0.15 * REQUESTS
const DOWN = 500
/** Each user has the same from several targets, and tokens with different groups: many entries, which soon expire. */
const COPIES = 4
const GROUPS = [['staff'], ['staff', 'billing'], ['staff', 'audit']]
const MAX_AGE = 4_000
const TOKEN_TTL = 30_000
const LEASE = { default_ttl: '6s', max_ttl: '30s' }
const DEADLINE = 5_000
const TIMEOUT = 2_000
/** How long a user who is refused asks again. */
const PATIENCE = 60_000
/** How long the server may take to revoke the leases of tokens that it has revoked. */
const SETTLING = 15_000

const seed = Number(process.env.STORM_SEED ?? Math.floor(Math.random() * 2 ** 31))

const targetsOf = (kind) => Array.from({ length: COPIES }, (_, index) => `${kind}${index}`)
const sum = (counts) => counts.reduce((all, count) => all + count, 0)
const pick = (random, list) => list[Math.floor(random() * list.length)]

/** A dynamic role of each user's own, whose users last no longer than their lease. */
async function makeRoles(lab) {
  const { data } = await must(lab, 'GET', `${lab.mounts.database}/roles/readonly`)
  const { db_name, creation_statements, revocation_statements } = data
  const role = { db_name, creation_statements, revocation_statements, ...LEASE }
  for (const user of USERS) await must(lab, 'POST', `${lab.mounts.database}/roles/${user}`, role)
}

const dynamicUsers = async (lab) =>
  (await lab.postgresql.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")).map(({ rolname }) => rolname)

/** Who PostgreSQL says has logged in; undefined where it lets nobody in. */
async function loggedIn(lab, { username, password }) {
  const client = await lab.postgresql.connect({ username, password: password.reveal() }).catch(() => undefined)
  if (client === undefined) return undefined
  const { rows } = await client.query('SELECT session_user AS name')
  await client.end()
  return rows[0].name
}

/** What the callers met with. */
const seen = { served: 0, aborted: 0, codes: {}, untyped: [], wrong: [], logins: 0, took: [], unhandled: [] }
process.on('unhandledRejection', (reason) => seen.unhandled.push(reason))

/** Notes where a credential is not the caller's own; some are tried at the database. */
async function check(lab, user, target, lease, tried) {
  const { username, password } = lease.value
  const isOwn = target.startsWith('kv')
    ? username === `${user}@vsphere.local` && password.reveal() === `password-of-${user}`
    : username.startsWith('v-') && username.includes(`-${user}-`) && lease.principal === username
  if (!isOwn) seen.wrong.push(`${username} for ${user}`)
  if (!tried || target.startsWith('kv')) return
  const name = await loggedIn(lab, lease.value)
  seen.logins++
  if (name !== username && lease.expiresAt.getTime() > Date.now()) seen.wrong.push(`${username} can't log in`)
}

/** One request of a caller, and what becomes of the credential. */
async function visit(lab, registry, random, user, sessions) {
  const target = pick(random, [...targetsOf('db'), ...targetsOf('kv')])
  const leaving = new AbortController()
  const timer = random() < 0.05 ? setTimeout(() => leaving.abort(), random() * 30) : undefined
  const [tried, fate, hold] = [random() < 0.05, random(), random() * 300]
  const start = performance.now()
  try {
    const lease = await registry.delegate('vault', pick(random, sessions), { target }, { signal: leaving.signal })
    seen.served++
    await check(lab, user, target, lease, tried)
    // One in ten is forgotten.
    if (fate < 0.1) return
    if (fate < 0.3) await sleep(hold)
    if (fate < 0.45) lease.invalidate()
    await lease[Symbol.asyncDispose]()
  } catch (error) {
    if (leaving.signal.aborted && error === leaving.signal.reason) seen.aborted++
    else if (isDelegationError(error)) seen.codes[error.code] = (seen.codes[error.code] ?? 0) + 1
    else seen.untyped.push(error)
    seen.took.push(performance.now() - start)
    // Whoever failed waits before the next try.
    await sleep(100 + hold)
  } finally {
    clearTimeout(timer)
  }
}

/** All requests, by callers who share what is left to do. `events` happen meanwhile: by the count of requests before. */
async function storm(lab, registry, sessions, events) {
  let made = 0
  const happening = []
  const caller = async (index) => {
    const random = randomOf(seed + index)
    const user = USERS[index % USERS.length]
    while (made < REQUESTS) {
      made++
      if (made in events) happening.push(events[made]())
      await visit(lab, registry, random, user, sessions.get(user))
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)))
  await Promise.all(happening)
}

/** Milliseconds until each user has been served something that nobody has asked for before `round`. */
async function everybodyServed(registry, sessions, round) {
  const start = performance.now()
  await mapAtOnce(USERS, USERS.length, async (user) => {
    for (const target of [`db-round${round}`, `kv-round${round}`])
      for (;;) {
        const lease = await registry.delegate('vault', sessions.get(user)[0], { target }).catch((error) => error)
        if (!(lease instanceof Error)) break
        if (!isDelegationError(lease)) seen.untyped.push(lease)
        if (performance.now() > start + PATIENCE) throw lease
        await sleep(50)
      }
  })
  return performance.now() - start
}

/** The accessors of logins that the server has answered, but for those that it answered just when it was killed. */
function answeredLogins(lab, kills) {
  const answered = new Set()
  for (const line of readFileSync(lab.issuedFile, 'utf8').split('\n')) {
    if (!line.includes('"type":"response"') || !line.endsWith('}')) continue
    const { time, response } = JSON.parse(line)
    const isLate = kills.some((at) => Math.abs(at - Date.parse(time)) < 100)
    if (response?.auth?.accessor !== undefined && !isLate) answered.add(response.auth.accessor)
  }
  return answered
}

/** Whether something was made in the last two seconds before the server was killed, or just then. */
const isCutOff = (kills, madeAt) => kills.some((at) => madeAt > at - 2_000 && madeAt < at + 1_000)

/**
 * What the server has left. A kill may cut it off after it has logged somebody in, or made a user in the database, and
 * before it has said so, or noted the lease: nobody can give that back, it ends at its time.
 */
async function leftOver(lab, kills) {
  const [leases, accessors, users] = await Promise.all([lab.leases(), lab.accessors(), dynamicUsers(lab)])
  const found = await mapAtOnce(accessors, 8, (accessor) =>
    lab.request('POST', 'auth/token/lookup-accessor', { accessor }),
  )
  // What is being revoked is of no use any more: its number of uses is negative.
  const tokens = found.filter(({ status, body }) => status === 200 && body.data.num_uses >= 0)
  const answered = answeredLogins(lab, kills)
  const isTokenCutOff = ({ body }) => !answered.has(body.data.accessor)
  // A name ends with the second in which it was made.
  const isUserCutOff = (name) => isCutOff(kills, Number(name.split('-').at(-1)) * 1_000)
  return {
    leases: leases.length,
    tokens: tokens.filter((token) => !isTokenCutOff(token)).length,
    tokensCutOff: tokens.filter(isTokenCutOff).length,
    users: users.filter((name) => !isUserCutOff(name)).length,
    usersCutOff: users.filter(isUserCutOff).length,
  }
}

/** What is left when nothing is, or when it has been waited for long enough. */
async function leftWithin(lab, kills, patience, isNothing) {
  const end = performance.now() + patience
  for (;;) {
    const left = await leftOver(lab, kills)
    if (isNothing(left) || performance.now() > end) return left
    await sleep(200)
  }
}

await withVault({ postgresql: true, tokenTtl: TOKEN_TTL, tokenMaxTtl: TOKEN_TTL }, async (lab) => {
  await writeSecrets(lab, USERS)
  await makeRoles(lab)
  const sessionOf = sessionsOf(lab)
  const sessions = new Map()
  for (const user of USERS) sessions.set(user, await Promise.all(GROUPS.map((groups) => sessionOf(user, { groups }))))
  const db = database({ mount: lab.mounts.database, role: '{principal}' })
  const kv = kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
  const rounds = Array.from({ length: KILLS.length + 1 }, (_, index) => index)
  const targets = Object.fromEntries([
    ...[...targetsOf('db'), ...rounds.map((round) => `db-round${round}`)].map((target) => [target, db]),
    ...[...targetsOf('kv'), ...rounds.map((round) => `kv-round${round}`)].map((target) => [target, kv]),
  ])
  const waiting = { maxAge: MAX_AGE, deadline: DEADLINE, timeout: TIMEOUT }
  const registry = registryFor(lab, targets, { ...waiting, registry: { deadline: 60_000 } })

  const kills = []
  let before
  const recoveries = []
  const { wall, cpu } = await timed(() =>
    storm(lab, registry, sessions, {
      [BEFORE]: async () => {
        before = await everybodyServed(registry, sessions, 0)
      },
      ...Object.fromEntries(
        KILLS.map((count, index) => [
          count,
          async () => {
            kills.push(Date.now())
            await lab.kill()
            await sleep(DOWN)
            await lab.restart()
            recoveries.push(await everybodyServed(registry, sessions, index + 1))
          },
        ]),
      ),
    }),
  )
  const { hits, misses } = registry.stats().vault
  await registry[Symbol.asyncDispose]()
  const left = await leftWithin(lab, kills, SETTLING, ({ leases, tokens, users }) => leases + tokens + users === 0)
  const { tokensCutOff } = await leftWithin(lab, kills, TOKEN_TTL, (later) => later.tokensCutOff === 0)
  for (const error of [...seen.wrong, ...seen.untyped, ...seen.unhandled]) console.error(error)

  const { ERR_DELEGATION_UNAVAILABLE: outages = 0, ...others } = seen.codes
  for (const code of Object.keys(others)) console.error(code)
  report(`${REQUESTS} requests of ${USERS.length} users, server killed ${kills.length} times, STORM_SEED=${seed}`, [
    bound('credentials that are not the caller’s own, or not good', seen.wrong.length, 0),
    figure('credentials that were handed out', seen.served),
    figure('of these tried at the database', seen.logins),
    bound('failures that are not typed', seen.untyped.length, 0),
    bound('unhandled rejections', seen.unhandled.length, 0),
    bound('failures with another code', sum(Object.values(others)), 0),
    figure('failures with ERR_DELEGATION_UNAVAILABLE', outages),
    bound(`longest failure, deadline ${DEADLINE} ms`, Math.max(...seen.took), DEADLINE * 1.1, {
      unit: 'ms',
      tolerance: 0.1,
    }),
    figure('callers who left', seen.aborted),
    figure('hits for each miss', hits / misses),
    figure('until the last one is served', wall / 1e6, 's'),
    figure("of the server's process: processor time for each", cpu / REQUESTS, 'µs'),
    figure(`before: until ${USERS.length} users have something new from both engines`, before, 'ms'),
    figure('the same after a restart, longest', Math.max(...recoveries), 'ms'),
    bound('leases left', left.leases, 0),
    bound('tokens left', left.tokens, 0),
    figure('tokens of logins that the server was killed in', left.tokensCutOff),
    bound('of these left after their time', tokensCutOff, 0),
    bound('users left in the database', left.users, 0),
    figure('users in the database that the server was killed before it leased', left.usersCutOff),
  ])
})
