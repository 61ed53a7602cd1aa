const SIZE = 10_000

/** The last 10,000 records, in memory. */
export function ring() {
  const records = new Array(SIZE).fill(undefined)
  let next = 0
  return {
    add(record) {
      records[next] = record
      next = next === SIZE - 1 ? 0 : next + 1
    },
  }
}
