/** A measured value. */
export function figure(name, value, unit = '') {
  return { name, value, unit }
}

/**
 * A measured value that has a limit. `tolerance` is by which fraction of the limit a noisy machine may exceed it before
 * the run fails; zero for what is counted, not timed.
 */
export function bound(name, value, limit, { unit = '', tolerance = 0 } = {}) {
  return { name, value, unit, limit, tolerance }
}

/** Says what was measured: to the process that started this one, or as text. */
export function report(title, results) {
  if (process.send !== undefined) process.send({ title, results })
  else console.log(JSON.stringify({ title, results }, null, 2))
}
