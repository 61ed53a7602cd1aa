import { rmSync } from 'node:fs'
import { authority, type KeyPair } from '../certificates.ts'
import { newFolder } from '../template.ts'
import { reportIssued } from './issued-secrets.ts'
import { initialise, type Keys, type Node, type Storage, startNode } from './node.ts'
import type { Program } from './program.ts'
import { type Ask, must } from './requests.ts'

/** A running, initialised and unsealed server that can be configured. */
export interface Configurable extends AsyncDisposable {
  /** The path of the PEM file of the certificate authority that its certificate is from. */
  readonly ca: string
  /** That authority, which also certifies clients. */
  readonly authority: KeyPair
  readonly rootToken: string
  readonly folder: string
  /** Asks it as root. */
  readonly ask: Ask
}

/** A server of one process. */
export interface Server extends Configurable, Node {
  seal(): Promise<void>
}

/**
 * Starts a server of one process.
 * @throws Error where it does not start.
 */
export async function startServer(program: Program, storage: Storage): Promise<Server> {
  const folder = newFolder()
  const keys: Keys = {}
  let node: Node | undefined
  const dispose = async (): Promise<void> => {
    await node?.kill()
    if (node !== undefined) reportIssued(node.issuedFile)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const ca = await authority(folder, 'ca')
    node = await startNode({ program, storage, folder, name: 'server', authority: ca, keys })
    const rootToken = await initialise(node, program, keys)
    const { ask } = node
    const seal = async (): Promise<void> => {
      await must(ask, 'PUT', 'sys/seal')
    }
    return { ...node, ca: ca.certificate, authority: ca, rootToken, folder, seal, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
