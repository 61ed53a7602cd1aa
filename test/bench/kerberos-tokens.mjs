// What a token of a cached ticket costs: in the engine against a loop in C, and through it against npm kerberos.
import { registryFor, TARGETS, withDomain } from './common/domain.mjs'
import { median, ratio, timed, turns } from './common/measure.mjs'
import { startNpmKerberos } from './common/npm-kerberos.mjs'
import { cpuOf, helperProcess } from './common/processes.mjs'
import { bound, figure, report } from './common/report.mjs'
import { startCLoop, startHelperLoop } from './common/token-loops.mjs'
import { userSession } from './common/user.mjs'

const USER = 'alice'
const [TARGET] = TARGETS
const ROUNDS = 15
const WARM_UP = 4_000
const LOOP_CALLS = 4_000
const CALLS = 1_200

/** Lets `contenders` run in turns. Returns, by name, the microseconds per call of every round. */
async function rounds(contenders, calls) {
  const names = Object.keys(contenders)
  const results = Object.fromEntries(names.map((name) => [name, { wall: [], cpu: [] }]))
  for (const name of names) await contenders[name](WARM_UP)
  for (let round = 0; round < ROUNDS; round++)
    for (const name of turns(names, round)) {
      const { wall, cpu } = await contenders[name](calls)
      results[name].wall.push(wall / calls)
      results[name].cpu.push(cpu / calls)
    }
  return results
}

async function compareWithC(lab, path) {
  const c = await startCLoop(lab, path, TARGET)
  const helper = await startHelperLoop(lab, USER, TARGET)
  const results = await rounds({ helper: helper.run, c: c.run }, LOOP_CALLS)
  c.end()
  await helper.end()
  report('a token in the helper process, without its pipe', [
    ...times('helper process', results.helper),
    ...times('loop in C on libgssapi_krb5', results.c),
    bound('for each µs of the loop in C', ratio(results.helper.wall, results.c.wall), 1 / 0.7, { tolerance: 0.05 }),
    figure('processor time, for each µs of the loop in C', ratio(results.helper.cpu, results.c.cpu)),
  ])
}

const times = (name, { wall, cpu } = {}) =>
  wall === undefined
    ? []
    : [figure(name, median(wall), 'µs'), figure(`${name}, processor time of all processes`, median(cpu), 'µs')]

/** Against npm `kerberos`, where that is there. */
const against = (name, ours, peer, limit) =>
  peer === undefined
    ? []
    : [
        bound(`${name}, for each µs of npm kerberos`, ratio(ours.wall, peer.wall), limit, { tolerance: 0.1 }),
        figure(`${name}, processor time, for each µs of npm kerberos`, ratio(ours.cpu, peer.cpu)),
      ]

async function compareWithNpm(lab, path, credential) {
  const helper = helperProcess()
  async function making(calls) {
    for (let call = 0; call < calls; call++)
      if (!(await credential.negotiate()).startsWith('Negotiate ')) throw new Error('no token')
  }
  const ours = (atOnce) => async (calls) => {
    const before = cpuOf(helper)
    const { wall, cpu } = await timed(() => Promise.all(Array.from({ length: atOnce }, () => making(calls / atOnce))))
    return { wall, cpu: cpu + cpuOf(helper) - before }
  }
  const peer = await startNpmKerberos(lab, path, TARGET.replace('/', '@'))
  const theirs = (atOnce) => peer && { [`peer${atOnce}`]: (calls) => peer.run(calls, atOnce) }
  const contenders = { ours1: ours(1), ...theirs(1), ours8: ours(8), ...theirs(8) }
  const { ours1, peer1, ours8, peer8 } = await rounds(contenders, CALLS)
  peer?.end()
  report('negotiate()', [
    ...times('one caller', ours1),
    ...times('one caller, npm kerberos 7.0.0', peer1),
    ...times('8 callers at once', ours8),
    ...times('8 callers at once, npm kerberos 7.0.0', peer8),
    ...against('one caller', ours1, peer1, 0.5),
    ...against('8 callers at once', ours8, peer8, 0.2),
  ])
}

await withDomain(async (lab) => {
  const registry = registryFor(lab)
  const { value } = await registry.delegate('intranet', userSession(USER), { targetService: TARGET })
  const { path } = await value.exportCredentialCache()
  await compareWithC(lab, path)
  await compareWithNpm(lab, path, value)
  await registry[Symbol.asyncDispose]()
})
