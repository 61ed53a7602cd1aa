// What a credential from the cache costs, against npm fastmcp-oauth doing the same job.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DelegationRegistry, fileAudit } from '@mcp-delegation/core'
import { bearerModule, plainRequest } from './common/backend.mjs'
import { compete, median, ratio } from './common/measure.mjs'
import { startPeer } from './common/peer.mjs'
import { bound, figure, report } from './common/report.mjs'
import { ring } from './common/ring.mjs'
import { accessToken, userSession } from './common/user.mjs'

const ROUNDS = 25
const CALLS = 8_000
const FILE_ROUNDS = 7
const FILE_CALLS = 3_000
/** How many callers wait for the file together. */
const AT_ONCE = 100
const TARGET = 'HTTP/backend.corp.example'

const subject = 'f7f0a9a2-4f4c-4b6e-9d6a-2f8f4b9f7c11'
const token = accessToken(subject)

/** A registry with one module and one cached credential, and ways to ask for that. */
async function ours(audit, request) {
  const registry = new DelegationRegistry({
    modules: { intranet: bearerModule({ request }) },
    audit,
    policy: 'backend-decides',
  })
  const session = userSession(subject, token)
  const ask = () => registry.delegate('intranet', session, { targetService: TARGET }, { tool: 'list_invoices' })
  await ask()
  return {
    registry,
    async keeping(calls) {
      for (let call = 0; call < calls; call++) {
        const { value } = await ask()
        if (value.token === undefined) throw new Error('no credential')
      }
    },
    async disposing(calls) {
      for (let call = 0; call < calls; call++) {
        const lease = await ask()
        if (lease.value.token === undefined) throw new Error('no credential')
        await lease[Symbol.asyncDispose]()
      }
    },
  }
}

/** The same calls, `AT_ONCE` at a time. */
function together(delegating, calls) {
  return Promise.all(Array.from({ length: AT_ONCE }, () => delegating(calls / AT_ONCE)))
}

const memory = () => {
  const records = ring()
  return (record) => records.add(record)
}
const withZod = await ours(memory())
const byHand = await ours(memory(), plainRequest)
const theirs = await startPeer({ subject, token, target: TARGET })
const results = await compete(
  {
    zod: withZod.disposing,
    zodKept: withZod.keeping,
    hand: byHand.disposing,
    peer: theirs.delegating,
  },
  { rounds: ROUNDS, calls: CALLS },
)
theirs.end()

const folder = mkdtempSync(join(tmpdir(), 'mcp-delegation-bench-'))
const file = fileAudit(join(folder, 'audit.jsonl'))
const toFile = await ours(file)
const inFile = await compete(
  { alone: toFile.disposing, together: (calls) => together(toFile.disposing, calls) },
  { rounds: FILE_ROUNDS, calls: FILE_CALLS },
)
for (const { registry } of [withZod, byHand, toFile]) await registry[Symbol.asyncDispose]()
await file[Symbol.asyncDispose]()
rmSync(folder, { recursive: true })

const times = (name, { wall, cpu }) => [
  figure(name, median(wall), 'µs'),
  figure(`${name}, processor time`, median(cpu), 'µs'),
]
const tolerance = 0.2
report('delegate, from the cache', [
  ...times('zod schema, lease disposed', results.zod),
  ...times('zod schema, lease kept', results.zodKept),
  ...times('schema by hand, lease disposed', results.hand),
  ...times('fastmcp-oauth 2.1.0', results.peer),
  ...times('zod schema, audit to a file', inFile.alone),
  ...times(`zod schema, audit to a file, ${AT_ONCE} callers at once`, inFile.together),
  bound('of the time of fastmcp-oauth', ratio(results.zod.wall, results.peer.wall), 0.25, { tolerance }),
  bound('of its processor time', ratio(results.zod.cpu, results.peer.cpu), 0.25, { tolerance }),
])
