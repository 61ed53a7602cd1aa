// What authentication, delegation and audit add to a tools/call, in processor time of the server.
import { startIssuer } from './common/issuer.mjs'
import { load } from './common/mcp-load.mjs'
import { RESOURCE, startServer } from './common/mcp-server.mjs'
import { median, ratio } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'

const CONNECTIONS = 8
const ROUNDS = 27
const CALLS = 500
const WARM_UP = 4_000
const NAMES = {
  open: 'open server',
  protected: 'protected, audit in memory',
  filed: 'protected, audit to a file',
  adapted: "protected, audit in memory, in the SDK's Node form",
}
const KINDS = Object.keys(NAMES)

const issuer = await startIssuer()
const tokens = await Promise.all(Array.from({ length: CONNECTIONS }, () => issuer.token(RESOURCE)))

for (const era of ['2026-07-28', '2025-11-25']) {
  const servers = {}
  for (const kind of KINDS) servers[kind] = await startServer(kind, { issuer: issuer.issuer, jwksUri: issuer.jwksUri })
  for (const kind of KINDS) await load(servers[kind].port, tokens, WARM_UP, era)
  const spent = Object.fromEntries(KINDS.map((kind) => [kind, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (let turn = 0; turn < KINDS.length; turn++) {
      const kind = KINDS[(round + turn) % KINDS.length]
      const before = await servers[kind].cpu()
      await load(servers[kind].port, tokens, CALLS, era)
      spent[kind].push(((await servers[kind].cpu()) - before) / CALLS)
    }
  for (const kind of KINDS) await servers[kind].stop()
  report(`tools/call, protocol ${era}, ${CONNECTIONS} connections`, [
    ...KINDS.map((kind) => figure(`${NAMES[kind]}, processor time`, median(spent[kind]), 'µs')),
    bound('protected, for each µs of the open server', ratio(spent.protected, spent.open), 1.1, { tolerance: 0.05 }),
    figure('with audit to a file, for each µs of the open server', ratio(spent.filed, spent.open)),
    figure("in the SDK's Node form, for each µs of the open server", ratio(spent.adapted, spent.open)),
  ])
}
issuer.stop()
