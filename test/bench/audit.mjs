// What the sealed audit file takes: records alone, and hits of the registry beside a sink in memory.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DelegationRegistry, fileAudit, fileCheckpoints } from '@mcp-delegation/core'
import { auditLogFiles, verifyAuditLog } from '@mcp-delegation/core/audit'
import { bearerModule } from './common/backend.mjs'
import { compete, median, ratio, timed } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { ring } from './common/ring.mjs'
import { accessToken, userSession } from './common/user.mjs'

const AT_ONCE = 64
const RECORDS = 320_000
const ROUNDS = 15
const CALLS = 16_000
const subject = 'f7f0a9a2-4f4c-4b6e-9d6a-2f8f4b9f7c11'
const target = 'HTTP/backend.corp.example'

const folder = mkdtempSync(join(tmpdir(), 'mcp-delegation-bench-'))
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const sealed = (name) =>
  fileAudit(join(folder, name), {
    seal: { key: privateKey, witness: fileCheckpoints(join(folder, `${name}.checkpoints`)) },
  })

/** `AT_ONCE` callers, each with its share of `calls`. */
function together(call, calls) {
  const share = async () => {
    for (let done = 0; done < calls / AT_ONCE; done++) await call()
  }
  return Promise.all(Array.from({ length: AT_ONCE }, share))
}

/** Records of hits alone, for as long as that takes. */
async function records() {
  const audit = sealed('records.jsonl')
  const { issuer, id, clientId, act } = userSession(subject, accessToken(subject))
  // A literal, as the registry makes it: spread syntax takes longer than writing what it makes.
  const record = () => ({
    event: 'delegation',
    outcome: 'reused',
    at: new Date(),
    sessionId: id,
    issuer,
    subject,
    clientId,
    act,
    durationMs: performance.now() % 1,
    code: undefined,
    reason: undefined,
    traceId: undefined,
    tool: 'list_invoices',
    module: 'intranet',
    type: 'bearer',
    target,
    principal: subject,
  })
  const { wall, main } = await timed(() => together(() => audit(record()), RECORDS))
  await audit[Symbol.asyncDispose]()
  const files = await auditLogFiles(join(folder, 'records.jsonl'))
  const begun = performance.now()
  const verified = await verifyAuditLog({ files, keys: [publicKey], checkpoints: `${files[0]}.checkpoints` })
  if (!verified.ok || verified.records !== RECORDS) throw new Error('the log does not verify')
  const megabytes = statSync(files[0]).size / 1e6
  return { wall: wall / RECORDS, main: main / RECORDS, verified: megabytes / ((performance.now() - begun) / 1_000) }
}

async function hits(audit) {
  const modules = { intranet: bearerModule({}) }
  const registry = new DelegationRegistry({ modules, audit, policy: 'backend-decides' })
  const session = userSession(subject, accessToken(subject))
  const call = async () => {
    const lease = await registry.delegate('intranet', session, { targetService: target }, { tool: 'list_invoices' })
    if (lease.value.token === undefined) throw new Error('no credential')
    await lease[Symbol.asyncDispose]()
  }
  await call()
  return { registry, run: (calls) => together(call, calls) }
}

const alone = await records()
const kept = ring()
const plainFile = fileAudit(join(folder, 'plain.jsonl'))
const sealedFile = sealed('hits.jsonl')
const memory = await hits((record) => kept.add(record))
const plain = await hits(plainFile)
const seal = await hits(sealedFile)
const results = await compete(
  { memory: memory.run, plain: plain.run, sealed: seal.run },
  { rounds: ROUNDS, calls: CALLS },
)
for (const { registry } of [memory, plain, seal]) await registry[Symbol.asyncDispose]()
for (const file of [plainFile, sealedFile]) await file[Symbol.asyncDispose]()
rmSync(folder, { recursive: true })

report(`audit to a file, ${AT_ONCE} callers at once`, [
  bound('time for a record of the sealed file', alone.wall, 20, { unit: 'µs', tolerance: 0.2 }),
  figure('that is', 1e6 / alone.wall, 'records a second'),
  figure('the same, processor time of the main thread', alone.main, 'µs'),
  figure('verification', alone.verified, 'MB a second'),
  figure('hit, audit in memory', median(results.memory.wall), 'µs'),
  figure('the same, processor time of the main thread', median(results.memory.main), 'µs'),
  figure('hit, audit to a plain file', median(results.plain.wall), 'µs'),
  figure('hit, audit to a sealed file', median(results.sealed.wall), 'µs'),
  figure('the same, processor time of the main thread', median(results.sealed.main), 'µs'),
  figure('the same, processor time of all threads', median(results.sealed.cpu), 'µs'),
  bound(
    'time of a hit with the sealed file, for each µs in memory',
    ratio(results.sealed.wall, results.memory.wall),
    2,
    {
      tolerance: 0.2,
    },
  ),
])
