// What many tokens leave behind, and what a ticket takes that is held, in the server's process and in the helper process.
import { fileURLToPath } from 'node:url'
import { DelegationRegistry } from '@mcp-delegation/core'
import { TicketCredential } from '../../packages/kerberos-delegation/dist/credential.js'
import { bearerModule } from './common/backend.mjs'
import { engineFor, orderOf, principalOf, registryFor, TARGETS, withDomain } from './common/domain.mjs'
import { helperProcess, memoryWith } from './common/processes.mjs'
import { bound, figure, report } from './common/report.mjs'
import { ring } from './common/ring.mjs'
import { userSession } from './common/user.mjs'

const TOKENS = 100_000
/** Until V8 has taken the room that it keeps for short-lived objects. */
const WARM_UP = 80_000
const TICKETS = 10_000
const AT_ONCE = 64
const MiB = 2 ** 20
const [TARGET] = TARGETS
const COPIES = fileURLToPath(new URL('common/helper-copies.mjs', import.meta.url))

/** Does something `times` times, `AT_ONCE` at once. */
async function repeat(times, work) {
  let next = 0
  const worker = async () => {
    while (next < times) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function manyTokens(credential) {
  const helper = helperProcess()
  const make = () => credential.negotiate()
  await repeat(WARM_UP, make)
  const before = memoryWith(helper)
  await repeat(TOKENS, make)
  const after = memoryWith(helper)
  const grown = (process) => Math.max(0, after[process] - before[process]) / MiB
  report(`${TOKENS.toLocaleString('en')} tokens of one ticket`, [
    bound("growth of the server's process", grown('server'), 10, { unit: 'MiB' }),
    bound('growth of the helper process', grown('helper'), 10, { unit: 'MiB' }),
  ])
}

/** A registry whose module obtains as the package's does, from an engine whose helper process copies one ticket. */
function registryOfCopies(engine) {
  const records = ring()
  const surroundings = { mayExport: () => false, failure: (error) => error }
  const issue = async (_request, { principal, signal }) => {
    const ticket = await engine.obtain(orderOf(principal, TARGET), { signal })
    const credential = new TicketCredential(ticket, TARGET, principalOf(TARGET), surroundings)
    return {
      value: credential.value(),
      lend: (loan) => credential.value(loan),
      usable: () => credential.usable,
      expiresAt: new Date(ticket.facts.expiresAt),
      principal: ticket.facts.client,
      release: () => credential.release(),
    }
  }
  return new DelegationRegistry({
    modules: { intranet: bearerModule({ issue }) },
    audit: (record) => records.add(record),
    policy: 'backend-decides',
    cache: { max: 2 * TICKETS },
  })
}

async function manyTickets(lab, path, user) {
  const args = [COPIES, path, principalOf(user), principalOf(TARGET)]
  const engine = engineFor(lab, { command: { file: process.execPath, args } })
  const registry = registryOfCopies(engine)
  const hold = async (index) => {
    const lease = await registry.delegate('intranet', userSession(`user-${index}`), { targetService: TARGET })
    await lease.value.negotiate()
    await lease[Symbol.asyncDispose]()
  }
  // What grows once, whatever is held.
  await repeat(TICKETS / 10, (index) => hold(`first-${index}`))
  const helper = helperProcess(COPIES)
  const before = memoryWith(helper)
  await repeat(TICKETS, hold)
  const after = memoryWith(helper)
  const { entries } = registry.stats().intranet
  if (entries !== TICKETS + TICKETS / 10) throw new Error(`${entries} tickets are held`)
  const each = (process) => (after[process] - before[process]) / TICKETS / 1024
  await registry[Symbol.asyncDispose]()
  await engine.dispose()
  report(`${TICKETS.toLocaleString('en')} tickets that are held`, [
    figure("each, in the server's process", each('server'), 'KiB'),
    figure('each, in the helper process', each('helper'), 'KiB'),
    bound('each, in both', each('server') + each('helper'), 16, { unit: 'KiB' }),
  ])
}

await withDomain(async (lab) => {
  const registry = registryFor(lab)
  const { value } = await registry.delegate('intranet', userSession('alice'), { targetService: TARGET })
  const { path } = await value.exportCredentialCache()
  await manyTokens(value)
  await manyTickets(lab, path, 'alice')
  await registry[Symbol.asyncDispose]()
})
