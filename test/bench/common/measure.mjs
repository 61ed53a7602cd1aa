import { readFileSync } from 'node:fs'

/** The middle of `values`. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/**
 * Runs `work`, and says how much time passed, and how much processor time this process and its main thread alone used,
 * in microseconds.
 */
export async function timed(work) {
  const cpu = process.cpuUsage()
  const before = mainThread()
  const start = performance.now()
  await work()
  const wall = (performance.now() - start) * 1000
  const { user, system } = process.cpuUsage(cpu)
  return { wall, cpu: user + system, main: mainThread() - before }
}

/** Processor time of the main thread in microseconds; only Linux tells it. */
function mainThread() {
  if (process.platform !== 'linux') return Number.NaN
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1_000
}

/**
 * Runs every contender once a round, each round beginning with another one, so that what disturbs the machine disturbs
 * them alike. `contenders` maps names to functions that do their job `calls` times. Returns, by name, the microseconds
 * per call of every round: `{ wall: number[], cpu: number[], main: number[] }`.
 */
export async function compete(contenders, { rounds, calls }) {
  const names = Object.keys(contenders)
  const results = Object.fromEntries(names.map((name) => [name, { wall: [], cpu: [], main: [] }]))
  for (const name of names) await contenders[name](calls)
  for (let round = 0; round < rounds; round++)
    for (const name of turns(names, round)) {
      const { wall, cpu, main } = await timed(() => contenders[name](calls))
      results[name].wall.push(wall / calls)
      results[name].cpu.push(cpu / calls)
      results[name].main.push(main / calls)
    }
  return results
}

/** `names`, each round beginning with another one. */
export function turns(names, round) {
  return names.map((_, turn) => names[(round + turn) % names.length])
}

/** The value that `share` of `values` are not above. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

/** The median, over the rounds, of how much `one` took for each microsecond of `other`. */
export function ratio(one, other) {
  return median(one.map((value, round) => value / other[round]))
}
