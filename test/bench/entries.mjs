// What an entry of the cache costs to insert, and in memory, when there are many.
import { randomUUID } from 'node:crypto'
import { DelegationRegistry, secret } from '@mcp-delegation/core'
import { bearerModule } from './common/backend.mjs'
import { median, timed } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { ring } from './common/ring.mjs'
import { userSession } from './common/user.mjs'

const FEW = 1_000
const MANY = 100_000
/** How many registries are filled with few entries, so that there is something to measure. */
const FILLS = 20
const ROUNDS = 3
const REQUEST = { targetService: 'HTTP/backend.corp.example' }

/** A registry with room for `max` credentials, whose module hands out `values` in turn. */
function registryOf(max, values) {
  const records = ring()
  let next = 0
  const issue = async (_request, { clock }) => ({
    value: values[next++ % values.length],
    expiresAt: new Date(clock.now() + 3_600_000),
  })
  return new DelegationRegistry({
    modules: { intranet: bearerModule({ issue }) },
    audit: (record) => records.add(record),
    policy: 'backend-decides',
    cache: { max },
  })
}

async function insert(registry, session) {
  const lease = await registry.delegate('intranet', session, REQUEST)
  await lease[Symbol.asyncDispose]()
}

/** Fills `times` registries with `size` entries each. Returns the processor time per entry, in microseconds. */
async function fill(size, times, sessions, values) {
  const registries = Array.from({ length: times }, () => registryOf(MANY, values))
  globalThis.gc()
  const { cpu } = await timed(async () => {
    for (const registry of registries)
      for (let index = 0; index < size; index++) await insert(registry, sessions[index])
  })
  for (const registry of registries) {
    if (registry.stats().intranet.entries !== size) throw new Error('entries are missing')
    await registry[Symbol.asyncDispose]()
  }
  return cpu / times / size
}

function heapInUse() {
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Bytes per entry of a registry that holds `MANY`, beyond what was issued; the callers' sessions are gone. */
async function bytesPerEntry(values) {
  const before = heapInUse()
  const registry = registryOf(MANY, values)
  for (let index = 0; index < MANY; index++) await insert(registry, userSession(randomUUID()))
  const bytes = (heapInUse() - before) / MANY
  if (registry.stats().intranet.entries !== MANY) throw new Error('entries are missing')
  await registry[Symbol.asyncDispose]()
  return bytes
}

const values = Array.from({ length: MANY }, () => ({ kind: 'bearer', token: secret(randomUUID()) }))
await fill(
  FEW,
  FILLS,
  Array.from({ length: FEW }, () => userSession(randomUUID(), randomUUID())),
  values,
)
const bytes = await bytesPerEntry(values)
const rounds = []
const sessions = Array.from({ length: MANY }, () => userSession(randomUUID(), randomUUID()))
for (let round = 0; round < ROUNDS; round++)
  rounds.push({ few: await fill(FEW, FILLS, sessions, values), many: await fill(MANY, 1, sessions, values) })

report('entries of the cache', [
  figure('insertion of one of 1,000, processor time', median(rounds.map(({ few }) => few)), 'µs'),
  figure('insertion of one of 100,000, processor time', median(rounds.map(({ many }) => many)), 'µs'),
  bound('of 100,000, for each µs of one of 1,000', median(rounds.map(({ few, many }) => many / few)), 1.5, {
    tolerance: 0.2,
  }),
  bound('memory per entry, beyond the credential', bytes, 1536, { unit: 'bytes' }),
])
