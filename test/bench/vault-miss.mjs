// What a secret costs that is not in the cache while the login is, against a bare fetch of the same path; and what is
// sent for it.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { kv2 } from '@mcp-delegation/vault'
import { Agent, fetch } from 'undici'
import { compete, median, ratio } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { must, registryFor, sessionsOf, watchRequests, withVault, writeSecrets } from './common/vault.mjs'

const ROUNDS = 25
const CALLS = 160
/** How many callers there are at once, each of them a user. */
const AT_ONCE = 8
const USERS = Array.from({ length: AT_ONCE }, (_, index) => `user${index}`)
/** Of which requests and round trips are counted. */
const COUNTED = 200
/** Each miss is of a target that the user has not asked for yet; all have the same path. */
const TARGETS = Array.from({ length: 2 * (ROUNDS + 2) * CALLS }, (_, index) => `target${index}`)

const OPTIONS = { connections: 16, keepAlive: 30_000 }

/** A registry, and a miss of it for a user who has logged in. */
function ours(registry, sessions) {
  const asked = new Map(USERS.map((user) => [user, 0]))
  return {
    /** Returns the target that is in the cache now. */
    async miss(user) {
      const target = TARGETS[asked.get(user)]
      asked.set(user, asked.get(user) + 1)
      const lease = await registry.delegate('vault', sessions.get(user), { target })
      check(user, lease.value.username)
      await lease[Symbol.asyncDispose]()
      return target
    },
  }
}

/** The same path by undici's `fetch`, over the same kind of connections, with a token of the user's own. */
async function bare(lab) {
  const { connections, keepAlive } = OPTIONS
  const dispatcher = new Agent({
    connections,
    pipelining: 1,
    keepAliveTimeout: keepAlive,
    keepAliveMaxTimeout: keepAlive,
    connect: { ca: readFileSync(lab.ca, 'utf8') },
  })
  const tokens = new Map()
  for (const user of USERS) {
    const login = { role: 'user', jwt: await lab.tokens.sign({ sub: user }) }
    const { auth } = await must(lab, 'POST', `auth/${lab.mounts.jwt}/login`, login)
    tokens.set(user, auth.client_token)
  }
  return {
    async miss(user) {
      const headers = { 'x-vault-token': tokens.get(user), 'x-vault-request': 'true' }
      const path = `${lab.address}/v1/${lab.mounts.kv2}/data/users/${user}/vcenter`
      const response = await fetch(path, { headers, dispatcher })
      const { data } = await response.json()
      check(user, data.data.username)
    },
    end: () => dispatcher.close(),
  }
}

function check(user, username) {
  if (username !== `${user}@vsphere.local`) throw new Error(`the secret of ${user} is of ${username}`)
}

const alone =
  ({ miss }) =>
  async (calls) => {
    for (let call = 0; call < calls; call++) await miss(USERS[0])
  }

const together =
  ({ miss }) =>
  async (calls) => {
    const caller = async (user) => {
      for (let call = 0; call < calls / AT_ONCE; call++) await miss(user)
    }
    await Promise.all(USERS.map(caller))
  }

/** How many requests this process makes, and how many the server audits, while `work` runs. */
async function counted(lab, work) {
  let sent = 0
  const count = () => sent++
  const watch = watchRequests(lab)
  subscribe('undici:request:create', count)
  await work()
  unsubscribe('undici:request:create', count)
  const paths = watch.paths()
  watch.end()
  return { sent, audited: paths.length, paths: new Set(paths) }
}

await withVault({}, async (lab) => {
  await writeSecrets(lab, USERS)
  const sessionOf = sessionsOf(lab)
  const sessions = new Map()
  for (const user of USERS) sessions.set(user, await sessionOf(user))
  const source = kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
  const targets = Object.fromEntries(TARGETS.map((target) => [target, source]))
  const registry = registryFor(lab, targets, { connections: OPTIONS.connections })
  const mine = ours(registry, sessions)
  const theirs = await bare(lab)
  for (const user of USERS) await mine.miss(user)

  let last
  const misses = await counted(lab, async () => {
    for (let call = 0; call < COUNTED; call++) last = await mine.miss(USERS[0])
  })
  const hits = await counted(lab, async () => {
    for (let call = 0; call < COUNTED; call++)
      await registry.delegate('vault', sessions.get(USERS[0]), { target: last })
  })
  if (misses.audited < COUNTED || misses.paths.size !== 1) throw new Error(`asked for: ${[...misses.paths].join(', ')}`)

  const sequential = await compete({ ours: alone(mine), bare: alone(theirs) }, { rounds: ROUNDS, calls: CALLS })
  const parallel = await compete({ ours: together(mine), bare: together(theirs) }, { rounds: ROUNDS, calls: CALLS })
  const { hits: reused, misses: missed } = registry.stats().vault
  if (reused !== COUNTED) throw new Error(`${reused} of ${reused + missed} came from the cache`)
  await registry[Symbol.asyncDispose]()
  await theirs.end()

  const tolerance = 0.1
  report('a secret that is not in the cache, the login is', [
    bound('requests sent for each miss', misses.sent / COUNTED, 1),
    bound('requests that the server saw for each miss', misses.audited / COUNTED, 1),
    bound(`requests sent for ${COUNTED} hits`, hits.sent, 0),
    bound(`requests that the server saw for ${COUNTED} hits`, hits.audited, 0),
    figure('one caller', median(sequential.ours.wall), 'µs'),
    figure('one caller, bare fetch', median(sequential.bare.wall), 'µs'),
    bound('for each µs of fetch', ratio(sequential.ours.wall, sequential.bare.wall), 1.3, { tolerance }),
    figure('the same, processor time', ratio(sequential.ours.cpu, sequential.bare.cpu)),
    figure(`${AT_ONCE} callers at once, each`, median(parallel.ours.wall), 'µs'),
    figure(`${AT_ONCE} callers at once, bare fetch`, median(parallel.bare.wall), 'µs'),
    bound('for each µs of fetch', ratio(parallel.ours.wall, parallel.bare.wall), 1.3, { tolerance }),
    figure('the same, processor time', ratio(parallel.ours.cpu, parallel.bare.cpu)),
  ])
})
