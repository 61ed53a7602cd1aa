// What a decision of `permissions` costs, for 200 tools and a user of 50 groups.
import { createSession, groupGrammar, permissions } from '@mcp-delegation/core'
import { compete, median, ratio } from './common/measure.mjs'
import { bound, figure, report } from './common/report.mjs'
import { ISSUER } from './common/user.mjs'

const TOOLS = 200
const GROUPS = 50
/** How many of the groups follow the convention; of the others, every fourth is one that grants something. */
const GRANTING = 10
const USERS = 1_000
const ROUNDS = 25
const CALLS = 100_000
const LEVELS = ['READ_ONLY', 'POWER_OPS', 'VM_LIFECYCLE', 'HOST_ADMIN', 'FULL_ADMIN']

const numbers = (count) => Array.from({ length: count }, (_, index) => index)
const toolNames = numbers(TOOLS).map((index) => `vsphere_tool_${index}`)
const groupNames = numbers(GROUPS).map((index) =>
  index < GRANTING ? `DC_${index}_OPS` : `staff-of-department-${index}`,
)

const policy = permissions({
  levels: LEVELS,
  issuers: [
    {
      issuer: ISSUER,
      groups: Object.fromEntries(numbers(GROUPS).map((index) => [`staff-of-department-${index * 4}`, 'POWER_OPS'])),
      grammar: groupGrammar({ rules: [{ pattern: 'DC_{dc}_OPS', area: ['{dc}'], level: 'VM_LIFECYCLE' }] }),
    },
  ],
  tools: Object.fromEntries(
    toolNames.map((name, index) => [
      name,
      { level: LEVELS[index % LEVELS.length], scopes: index % 2 === 0 ? ['vm:read'] : [] },
    ]),
  ),
  delegations: [{ modules: ['vcenter'], level: 'VM_LIFECYCLE', area: ({ target }) => [target] }],
  scopeHierarchy: { 'vm:write': ['vm:read'] },
  rateLimits: { all: { calls: 1_000_000, per: 1_000 } },
})

function sessionOf(subject) {
  const issuedAt = new Date()
  return createSession({
    issuer: ISSUER,
    subject,
    clientId: 'desktop-client',
    kind: 'user',
    displayName: subject,
    groups: new Set(groupNames),
    roles: new Set(),
    scopes: new Set(['openid', 'vm:write']),
    act: [],
    claims: {},
    issuedAt,
    expiresAt: new Date(issuedAt.getTime() + 3_600_000),
    token: undefined,
  })
}

const users = numbers(USERS).map((index) => sessionOf(`user-${index}`))

/** Asks about another tool and another user each time. Returns how many were allowed. */
function asking(sessions, question) {
  return (calls) => {
    let allowed = 0
    for (let call = 0; call < calls; call++)
      if (question(sessions[call % sessions.length], toolNames[call % TOOLS], call)) allowed++
    if (allowed === 0 || allowed > calls) throw new Error('the decisions are wrong')
  }
}

/** The least that can be done: one table of names, and one of answers. */
const table = new Map(toolNames.map((name, index) => [name, index % LEVELS.length < 2]))

const results = await compete(
  {
    tool: asking(users, (session, tool) => policy.tool({ session, tool }).allowed),
    delegation: asking(users, (session, tool, call) => {
      const target = String(call % GRANTING)
      return policy.delegation({ session, tool, module: 'vcenter', type: 'vault', target, principal: 'alice' }).allowed
    }),
    limit: asking(users, (session, tool) => policy.limit({ session, kind: 'tool', name: tool }) === undefined),
    lookUp: asking(users, (_, tool) => table.get(tool)),
  },
  { rounds: ROUNDS, calls: CALLS },
)
// A session that has not been seen yet: its groups are read.
const fresh = await compete(
  {
    making: (calls) => {
      for (let call = 0; call < calls; call++) sessionOf('alice')
    },
    deciding: (calls) => {
      for (let call = 0; call < calls; call++)
        if (!policy.tool({ session: sessionOf('alice'), tool: toolNames[0] }).allowed) throw new Error('refused')
    },
  },
  { rounds: ROUNDS, calls: 500 },
)

report(`permissions, ${TOOLS} tools and ${GROUPS} groups`, [
  bound('may a tool be called, processor time', median(results.tool.cpu), 1, { unit: 'µs', tolerance: 0.2 }),
  figure('may a credential be had in an area', median(results.delegation.cpu), 'µs'),
  figure('a call counted against a limit', median(results.limit.cpu), 'µs'),
  figure('a look-up in a table of the tools', median(results.lookUp.cpu), 'µs'),
  figure('decision to look-up, ratio', ratio(results.tool.cpu, results.lookUp.cpu)),
  figure('session made', median(fresh.making.cpu), 'µs'),
  figure('session made, and its groups read at its first decision', median(fresh.deciding.cpu), 'µs'),
])
