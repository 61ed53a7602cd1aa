// Thousands of users who come at once and have neither a login at Vault nor a secret in the cache.
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { kv2 } from '@mcp-delegation/vault'
import { Agent, fetch } from 'undici'
import { startCountingProxy } from './common/counting-proxy.mjs'
import { median, timed } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { mapAtOnce, registryFor, sessionsOf, watchRequests, withVault, writeSecrets } from './common/vault.mjs'

const USERS = Array.from({ length: 5_000 }, (_, index) => `user${index}`)
/** Other users, for the comparison: some come before, some after. */
const BEFORE = Array.from({ length: 400 }, (_, index) => `before${index}`)
const AFTER = Array.from({ length: 400 }, (_, index) => `after${index}`)
const CONNECTIONS = 16
/** What each of them asks for, with one login; the path is the same. */
const TARGETS = ['vcenter', 'console']
/** Everybody waits until the last one is served: minutes, where the machine is slow. */
const PATIENCE = 300_000

function check(user, username) {
  if (username !== `${user}@vsphere.local`) throw new Error(`the secret of ${user} is of ${username}`)
}

/** Microseconds for each user of nothing but the requests, as many at once as there are connections. */
async function bareFetches(lab, address, users) {
  const connect = { ca: readFileSync(lab.ca, 'utf8') }
  const dispatcher = new Agent({ connections: CONNECTIONS, pipelining: 1, connect })
  const send = async (path, options) => {
    const response = await fetch(`${address}/v1/${path}`, { dispatcher, ...options })
    if (!response.ok) throw new Error(`${path}: ${response.status}`)
    return response.json()
  }
  const tokens = await mapAtOnce(users, CONNECTIONS, (sub) => lab.tokens.sign({ sub }))
  const { wall } = await timed(() =>
    mapAtOnce(users, CONNECTIONS, async (user, index) => {
      const body = JSON.stringify({ role: 'user', jwt: tokens[index] })
      const { auth } = await send(`auth/${lab.mounts.jwt}/login`, { method: 'POST', body })
      const headers = { 'x-vault-token': auth.client_token }
      for (const _ of TARGETS) {
        const { data } = await send(`${lab.mounts.kv2}/data/users/${user}/vcenter`, { headers })
        check(user, data.data.username)
      }
    }),
  )
  await dispatcher.close()
  return wall / users.length
}

/** Runs `work`, and says besides how late the event loop was meanwhile, in milliseconds. */
async function watched(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  globalThis.gc?.()
  delay.enable()
  const { wall, cpu } = await timed(work)
  delay.disable()
  const [p50, p99] = [50, 99].map((share) => delay.percentile(share) / 1e6)
  return { wall, cpu, p50, p99, longest: delay.max / 1e6 }
}

await withVault({ tokenTtl: 3_600_000 }, async (lab) => {
  await writeSecrets(lab, [...USERS, ...BEFORE, ...AFTER])
  const sessions = await mapAtOnce(USERS, 8, sessionsOf(lab))
  const proxy = await startCountingProxy(lab.address)
  const bare = [await bareFetches(lab, proxy.address, BEFORE)]
  const before = await proxy.counts()
  let strangers = (await lab.accessors()).length

  const source = kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
  const targets = Object.fromEntries(TARGETS.map((target) => [target, source]))
  const patient = { deadline: PATIENCE, maxTokenIdle: PATIENCE, registry: { deadline: PATIENCE } }
  const registry = registryFor(lab, targets, { address: proxy.address, connections: CONNECTIONS, ...patient })
  const calls = sessions.flatMap((session) => TARGETS.map((target) => ({ session, target })))
  const watch = watchRequests(lab)
  let served = 0
  const coming = await watched(() =>
    Promise.all(
      calls.map(async ({ session, target }) => {
        const lease = await registry.delegate('vault', session, { target })
        check(session.subject, lease.value.username)
        served++
        await lease[Symbol.asyncDispose]()
      }),
    ),
  )
  const paths = watch.paths()
  watch.end()
  const logins = paths.filter((path) => path === `auth/${lab.mounts.jwt}/login`).length
  const accessors = (await lab.accessors()).length - strangers
  const after = await proxy.counts()
  bare.push(await bareFetches(lab, proxy.address, AFTER))
  strangers += AFTER.length
  const leaving = await watched(() => registry[Symbol.asyncDispose]())
  const left = (await lab.accessors()).length - strangers
  proxy.end()

  const users = USERS.length
  report(`${calls.length} calls of ${users} users at once, nobody has logged in`, [
    bound('calls that were not served', calls.length - served, 0),
    bound('connections at once', after.most, CONNECTIONS),
    figure('connections that were made', after.all - before.all),
    bound('logins beyond one for each user', logins - users, 0),
    bound('other requests beyond one for each call', paths.length - logins - calls.length, 0),
    bound('tokens beyond one for each user', accessors - users, 0),
    bound('delay of the event loop, 99th percentile', coming.p99, 50, { unit: 'ms', tolerance: 0.1 }),
    figure('delay of the event loop, median', coming.p50, 'ms'),
    figure('delay of the event loop, longest', coming.longest, 'ms'),
    figure('until the last one is served', coming.wall / 1e6, 's'),
    figure('for each user', coming.wall / users, 'µs'),
    figure(`for each user, the same requests by fetch, ${CONNECTIONS} at once`, median(bare), 'µs'),
    figure('for each µs of that', coming.wall / users / median(bare)),
    figure("of the server's process: processor time for each", coming.cpu / users, 'µs'),
    figure('until every token is revoked', leaving.wall / 1e6, 's'),
    figure('delay of the event loop meanwhile, 99th percentile', leaving.p99, 'ms'),
    bound('tokens left', left, 0),
  ])
})
