// What a user costs for whom there is no ticket yet, against the programs of MIT Kerberos, and what many at once do to
// the server's process.
import { copyFileSync, rmSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { ACCOUNT, principalOf, registryFor, TARGETS, USERS, withDomain } from './common/domain.mjs'
import { median, ratio, timed, turns } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { userSession } from './common/user.mjs'

const ROUNDS = 40
const WARM_UP = 5
const AT_ONCE = 200
/** Every pair of a user and a target is cold once. */
const PAIRS = TARGETS.flatMap((target) => USERS.map((user) => ({ user, target })))
/** With the name of the user in the request as well, it is another request, and so cold again. */
const REQUESTS = PAIRS.flatMap(({ user, target }) => [
  { user, request: { targetService: target } },
  { user, request: { targetService: target, userPrincipalName: principalOf(user) } },
])

async function succeed(lab, command, args, ccache) {
  const { status, stderr } = await lab.run(command, args, { ccache })
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`)
}

const kinit = (lab, ccache) => succeed(lab, 'kinit', ['-k', '-t', lab.keytab(ACCOUNT), ACCOUNT], ccache)
const kvno = (lab, { user, target }, ccache) => succeed(lab, 'kvno', ['-I', user, '-P', target], ccache)

async function oneAfterTheOther(lab) {
  const registry = registryFor(lab)
  const sessions = new Map(USERS.map((user) => [user, userSession(user)]))
  await kinit(lab, 'shared')
  const contenders = {
    ours: ({ user, target }) => registry.delegate('intranet', sessions.get(user), { targetService: target }),
    kvno: (pair) => kvno(lab, pair, 'fresh'),
    both: async (pair) => {
      await kinit(lab, 'fresh')
      await kvno(lab, pair, 'fresh')
    },
  }
  const names = Object.keys(contenders)
  const results = Object.fromEntries(names.map((name) => [name, []]))
  const mark = lab.mark()
  for (let round = -WARM_UP; round < ROUNDS; round++)
    for (const name of turns(names, round + WARM_UP)) {
      if (name === 'kvno') copyFileSync(lab.ccache('shared'), lab.ccache('fresh'))
      else rmSync(lab.ccache('fresh'), { force: true })
      const { wall } = await timed(() => contenders[name](PAIRS[round + WARM_UP]))
      if (round >= 0) results[name].push(wall / 1000)
    }
  const asked = lab.requests(mark).filter(({ kind }) => kind === 'S4U2Proxy').length
  if (asked !== (WARM_UP + ROUNDS) * names.length) throw new Error(`the KDC was asked ${asked} times`)
  await registry[Symbol.asyncDispose]()
  report('a user without a ticket', [
    figure('delegate', median(results.ours), 'ms'),
    figure('kvno with the ticket-granting ticket', median(results.kvno), 'ms'),
    figure('kinit and kvno', median(results.both), 'ms'),
    bound('for each ms of kvno', ratio(results.ours, results.kvno), 1 / 1.5, { tolerance: 0.1 }),
    bound('for each ms of kinit and kvno', ratio(results.ours, results.both), 1 / 3, { tolerance: 0.1 }),
  ])
}

async function atOnce(lab) {
  // The KDC of the lab answers one after the other: the last one waits for seconds.
  const registry = registryFor(lab, { deadline: 30_000 })
  const sessions = new Map(USERS.map((user) => [user, userSession(user)]))
  const delegate = ({ user, request }) => registry.delegate('intranet', sessions.get(user), request)
  // Another user, so that code is warm, and users are not.
  await registry.delegate('intranet', userSession('alice'), { targetService: TARGETS[0] })
  const mark = lab.mark()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  globalThis.gc?.()
  delay.enable()
  const { wall, cpu } = await timed(() => Promise.all(REQUESTS.map(delegate)))
  delay.disable()
  const asked = lab.requests(mark).filter(({ kind }) => kind === 'S4U2Proxy').length
  if (REQUESTS.length !== AT_ONCE || asked !== AT_ONCE) throw new Error(`the KDC was asked ${asked} times`)
  await registry[Symbol.asyncDispose]()
  report(`${AT_ONCE} tickets at once`, [
    figure('until the last one is there', wall / 1000, 'ms'),
    figure("of the server's process: processor time", cpu / 1000, 'ms'),
    figure('delay of its event loop, median', delay.percentile(50) / 1e6, 'ms'),
    bound('delay of its event loop, 99th percentile', delay.percentile(99) / 1e6, 20, { unit: 'ms', tolerance: 0.1 }),
    figure('delay of its event loop, longest', delay.max / 1e6, 'ms'),
  ])
}

await withDomain(async (lab) => {
  await oneAfterTheOther(lab)
  await atOnce(lab)
})
