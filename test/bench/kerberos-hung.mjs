// A KDC that accepts connections and answers nothing: how long callers wait, what the rest of the process feels, and
// when everything is normal again.
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { registryFor, TARGETS, USERS, withDomain } from './common/domain.mjs'
import { percentile } from './common/measure.mjs'
import { helperProcess } from './common/processes.mjs'
import { bound, figure, report } from './common/report.mjs'
import { userSession } from './common/user.mjs'

const DEADLINE = 1_000
/** How long the module leaves the KDC alone before it tries again. */
const PROBE_INTERVAL = 5_000
/** Between two calls. */
const PAUSE = 20
/** How long the file system is called before, to see what the machine does. */
const CONTROL = 3_000

/** Milliseconds until `work` has ended, and how: with a value, or with the code of its error. */
async function outcomeOf(work) {
  const start = performance.now()
  const code = await work().then(
    () => undefined,
    (error) => error.code,
  )
  return { code, took: performance.now() - start }
}

/** Calls the file system again and again until it is stopped; answers with the times that the calls took. */
function callFileSystem() {
  let stopped = false
  const times = (async () => {
    const all = []
    while (!stopped) {
      all.push((await outcomeOf(() => stat(import.meta.dirname))).took)
      await sleep(PAUSE)
    }
    return all
  })()
  return () => {
    stopped = true
    return times
  }
}

/** Asks on behalf of one user after the other until `until`. */
async function askOn(delegate, until) {
  const outcomes = []
  for (let turn = 0; performance.now() < until; turn++) {
    outcomes.push(await outcomeOf(() => delegate(USERS[turn % USERS.length])))
    await sleep(PAUSE)
  }
  return outcomes
}

await withDomain(async (lab) => {
  const registry = registryFor(lab, { deadline: DEADLINE })
  const sessions = new Map(['alice', ...USERS].map((user) => [user, userSession(user)]))
  const delegate = (user) => registry.delegate('intranet', sessions.get(user), { targetService: TARGETS[0] })
  const cached = await delegate('alice')

  const stopControl = callFileSystem()
  await sleep(CONTROL)
  const control = await stopControl()
  const helper = helperProcess()

  lab.pause()
  const stopCalling = callFileSystem()
  const start = performance.now()
  const first = Promise.all(USERS.map((user) => outcomeOf(() => delegate(user))))
  const token = await outcomeOf(() => cached.value.negotiate())
  const waiting = await first
  // Over the next trial, so that the KDC comes back when it has just been given up once more.
  const later = await askOn(delegate, start + DEADLINE + PROBE_INTERVAL + DEADLINE + 300)
  const fileSystem = await stopCalling()

  lab.resume()
  const back = performance.now()
  let normal = await outcomeOf(() => delegate(USERS[0]))
  while (normal.code !== undefined && performance.now() < back + 3 * PROBE_INTERVAL) {
    await sleep(PAUSE)
    normal = await outcomeOf(() => delegate(USERS[0]))
  }
  const recovery = performance.now() - back
  const isReplaced = helperProcess() !== helper
  const all = await Promise.all(USERS.map((user) => outcomeOf(() => delegate(user))))
  await registry[Symbol.asyncDispose]()

  const hung = [...waiting, ...later]
  const codes = new Set(hung.map(({ code }) => code))
  if (codes.size !== 1 || !codes.has('ERR_DELEGATION_UNAVAILABLE')) throw new Error(`answers: ${[...codes].join(', ')}`)
  if (token.code !== undefined) throw new Error(`no token of a cached ticket: ${token.code}`)
  if (all.some(({ code }) => code !== undefined)) throw new Error('the KDC is back, and not everybody has a ticket')
  const took = hung.map((outcome) => outcome.took)
  report('a KDC that hangs', [
    figure(`callers, of whom ${USERS.length} at once`, hung.length),
    bound(`longest answer, deadline ${DEADLINE} ms`, Math.max(...took), DEADLINE * 1.1, { unit: 'ms' }),
    figure('median of the answers', percentile(took, 0.5), 'ms'),
    figure('first token of a cached ticket meanwhile', token.took, 'ms'),
    figure('calls of the file system meanwhile', fileSystem.length),
    figure('longest call of the file system before', Math.max(...control), 'ms'),
    bound('longest call of the file system meanwhile', Math.max(...fileSystem), 50, { unit: 'ms', tolerance: 0.2 }),
    figure('helper processes that were replaced', isReplaced ? 1 : 0),
    bound('until a user has a ticket again', recovery, PROBE_INTERVAL + 1_000, { unit: 'ms' }),
  ])
})
