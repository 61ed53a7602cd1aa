import { readFileSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { authority } from '../certificates.ts'
import { newFolder } from '../template.ts'
import { reportIssued } from './issued-secrets.ts'
import { initialise, type Keys, type Node, startNode } from './node.ts'
import type { Program } from './program.ts'
import { type Ask, must } from './requests.ts'
import type { Configurable } from './server.ts'

/** A server of three processes with raft storage, of which one is active. */
export interface Cluster extends Configurable {
  readonly nodes: readonly Node[]
  /** The active one; waits while there is none. */
  leader(): Promise<Node>
}

/** How long an election may take, in milliseconds. */
const PATIENCE = 30_000
/** How long one process may take to say who leads, in milliseconds. */
const HANG = 500

/**
 * Starts three processes and joins them.
 * @throws Error where that fails.
 */
export async function startCluster(program: Program): Promise<Cluster> {
  const folder = newFolder()
  const keys: Keys = {}
  const nodes: Node[] = []
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()))
    if (nodes[0] !== undefined) reportIssued(nodes[0].issuedFile)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const ca = await authority(folder, 'ca')
    const begin = async (name: string): Promise<Node> => {
      const node = await startNode({ program, storage: 'raft', folder, name, authority: ca, keys })
      nodes.push(node)
      return node
    }
    const first = await begin('node-1')
    const [others, rootToken] = await Promise.all([
      Promise.all([begin('node-2'), begin('node-3')]),
      initialise(first, program, keys),
    ])
    // Else a process that joins has no vote for ten seconds.
    await must(first.ask, 'POST', 'sys/storage/raft/autopilot/configuration', { server_stabilization_time: '100ms' })
    const leader_ca_cert = readFileSync(ca.certificate, 'utf8')
    for (const { ask, unseal } of others) {
      await must(ask, 'POST', 'sys/storage/raft/join', { leader_api_addr: first.address, leader_ca_cert })
      await unseal()
    }
    const leader = (): Promise<Node> => leaderOf(nodes)
    await allVote(first.ask, nodes.length)
    const ask: Ask = async (...request) => (await leader()).ask(...request)
    return { nodes, leader, ask, ca: ca.certificate, authority: ca, rootToken, folder, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** A process that has just joined has no vote: without it, the loss of another would leave no majority. */
async function allVote(ask: Ask, count: number): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const { body } = await ask('GET', 'sys/storage/raft/configuration')
    const { servers } = (body as { data: { config: { servers: readonly { voter: boolean }[] } } }).data.config
    if (servers.filter(({ voter }) => voter).length === count) return
    if (performance.now() > deadline) throw new Error(`not all processes have a vote after ${PATIENCE} ms`)
    await delay(50)
  }
}

async function leaderOf(nodes: readonly Node[]): Promise<Node> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const active = await Promise.all(nodes.map(isActive))
    const found = nodes.find((_, index) => active[index])
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`nobody leads after ${PATIENCE} ms`)
    await delay(50)
  }
}

/** Only the active one answers its health with 200. One that hangs is not. */
async function isActive({ ask }: Node): Promise<boolean> {
  try {
    return (await ask('GET', 'sys/health', undefined, { timeout: HANG })).status === 200
  } catch {
    return false
  }
}
