// Many callers who miss the same credential at once: the backend is asked once.
import { setTimeout as sleep } from 'node:timers/promises'
import { DelegationRegistry, secret } from '@mcp-delegation/core'
import { bearerModule } from './common/backend.mjs'
import { median, timed } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { ring } from './common/ring.mjs'
import { userSession } from './common/user.mjs'

const CALLERS = 10_000
const ROUNDS = 7
const BACKEND_MS = 50

const rounds = []
let most = 0
for (let round = 0; round < ROUNDS; round++) {
  const records = ring()
  let issues = 0
  const issue = async (_request, { clock }) => {
    issues++
    await sleep(BACKEND_MS)
    return { value: { kind: 'bearer', token: secret('t') }, expiresAt: new Date(clock.now() + 3_600_000) }
  }
  const registry = new DelegationRegistry({
    modules: { intranet: bearerModule({ issue }) },
    audit: (record) => records.add(record),
    policy: 'backend-decides',
  })
  const session = userSession()
  const request = { targetService: 'HTTP/backend.corp.example' }
  let leases = []
  rounds.push(
    await timed(async () => {
      leases = await Promise.all(Array.from({ length: CALLERS }, () => registry.delegate('intranet', session, request)))
    }),
  )
  if (new Set(leases.map((lease) => lease.value)).size !== 1) throw new Error('the callers got different credentials')
  const { misses, leases: open } = registry.stats().intranet
  if (misses !== CALLERS || open !== CALLERS) throw new Error(`${misses} misses and ${open} leases`)
  await registry[Symbol.asyncDispose]()
  most = Math.max(most, issues)
}

report('10,000 concurrent misses of one credential', [
  bound('issues', most, 1),
  figure(
    `until the last caller has it, of a backend that takes ${BACKEND_MS} ms`,
    median(rounds.map(({ wall }) => wall / 1000)),
    'ms',
  ),
  figure('processor time per caller', median(rounds.map(({ cpu }) => cpu / CALLERS)), 'µs'),
])
