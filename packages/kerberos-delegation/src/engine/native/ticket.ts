import { closeSync, openSync, rmSync, statSync } from 'node:fs'
import type { ContextOptions } from '../messages.ts'
import { copyTicket, destroyCache } from './credential-cache.ts'
import {
  acquire,
  CONFIDENTIALITY,
  type Context,
  type Credential,
  deleteContext,
  INTEGRITY,
  importName,
  initiate,
  initiatorOf,
  MUTUAL,
  mint,
  type Name,
  REPLAY,
  releaseCredential,
  releaseName,
  SEQUENCE,
  type Step,
  unwrap,
  wrap,
} from './gss.ts'
import { inStage, StageError } from './stages.ts'

/** A ticket of a user to one target, in a cache of its own. Nothing here can ask a KDC. Every method throws {@link StageError}. */
export interface NativeTicket {
  /** A new initial token. */
  token(channelBindings: Uint8Array | undefined): Buffer
  context(options: ContextOptions, channelBindings: Uint8Array | undefined): NativeContext
  /** Writes a credential cache file with this ticket alone, mode 0600, where there is no file yet. */
  exportTo(path: string): void
  /** Gives everything back, contexts included. */
  release(): void
}

/** A security context of the initiator. A context that failed once is dead. */
export interface NativeContext {
  /** The first token. */
  readonly token: Buffer
  readonly done: boolean
  step(reply: Uint8Array): Buffer
  wrap(message: Uint8Array, encrypted: boolean): Buffer
  /** Refuses a message that had to be encrypted, and is not. */
  unwrap(message: Uint8Array, encrypted: boolean): Buffer
  close(): void
}

/** The handles that a ticket needs to initiate with. */
interface Initiator {
  readonly credential: Credential
  readonly target: Name
}

/** `cache` holds the ticket of `client` to `service`, and is destroyed at the release. */
export function holdTicket(cache: string, client: string, service: string): NativeTicket {
  let initiator: Initiator | undefined
  let released = false
  const contexts = new Set<NativeContext>()

  /** A credential that would speak for somebody else is not kept. */
  function checked(): Initiator {
    if (released) throw new StageError({ stage: 'token', text: 'the ticket was released' })
    if (initiator !== undefined) return initiator
    const target = importName(service)
    let credential: Credential | undefined
    try {
      credential = acquire(undefined, { ccache: cache }).credential
      const { context } = initiate(credential, target)
      const who = initiatorOf(context)
      deleteContext(context)
      if (who !== client)
        throw new StageError({ stage: 'token', text: `the token would be of ${who}, not of ${client}` })
      initiator = { credential, target }
      return initiator
    } catch (error) {
      if (credential !== undefined) releaseCredential(credential)
      releaseName(target)
      throw error
    }
  }

  return {
    token: (channelBindings) =>
      inStage('token', () => {
        const { credential, target } = checked()
        return mint(credential, target, channelBindings)
      }),
    context: (options, channelBindings) =>
      inStage('token', () => {
        const context = openContext(checked(), options, channelBindings, () => contexts.delete(context))
        contexts.add(context)
        return context
      }),
    exportTo: (path) => inStage('export', () => exportTicket(cache, path, client, service)),
    release: () => {
      if (released) return
      released = true
      for (const context of contexts) context.close()
      if (initiator !== undefined) {
        releaseCredential(initiator.credential)
        releaseName(initiator.target)
      }
      destroyCache(cache)
    },
  }
}

const PROTECTED = MUTUAL | REPLAY | SEQUENCE | INTEGRITY
const FLAGS = { none: MUTUAL, integrity: PROTECTED, confidentiality: PROTECTED | CONFIDENTIALITY } as const

function openContext(
  { credential, target }: Initiator,
  { security }: ContextOptions,
  channelBindings: Uint8Array | undefined,
  onEnd: () => void,
): NativeContext {
  const flags = FLAGS[security ?? 'none']
  let context: Context | undefined
  let done = false

  function end(): void {
    if (context === undefined) return
    deleteContext(context)
    context = undefined
    onEnd()
  }
  function taken(step: Step): Buffer {
    context = step.context
    done = step.done
    if (done && (step.flags & flags) !== flags)
      throw new StageError({ stage: 'context', text: 'the target does not protect messages as asked' })
    return step.token
  }
  /** Whatever fails ends the context. */
  function alive<T>(run: (context: Context) => T): T {
    return inStage('context', () => {
      if (context === undefined)
        throw new StageError({ stage: 'context', text: 'the context was closed, or has failed' })
      try {
        return run(context)
      } catch (error) {
        end()
        throw error
      }
    })
  }
  function layered<T>(run: (context: Context) => T): T {
    return alive((live) => {
      if (!done) throw new StageError({ stage: 'context', text: 'the context is not established' })
      if (security === undefined) throw new StageError({ stage: 'context', text: 'the context protects no messages' })
      return run(live)
    })
  }

  const token = taken(initiate(credential, target, { flags, channelBindings }))
  return {
    token,
    get done() {
      return done
    },
    step: (reply) =>
      alive((live) => {
        if (done) throw new StageError({ stage: 'context', text: 'the context is established already' })
        // The library deletes a context in which a step fails.
        context = undefined
        try {
          return taken(initiate(credential, target, { flags, channelBindings, context: live, reply }))
        } catch (error) {
          onEnd()
          throw error
        }
      }),
    wrap: (message, encrypted) => layered((live) => wrap(live, message, encrypted)),
    unwrap: (message, encrypted) =>
      layered((live) => {
        const { message: opened, confidential } = unwrap(live, message)
        if (encrypted && !confidential)
          throw new StageError({ stage: 'context', text: 'the message was not encrypted' })
        return opened
      }),
    close: end,
  }
}

/** The file is created here, so that nothing which is already there is written to. */
function exportTicket(cache: string, path: string, client: string, service: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (cause) {
    throw new StageError({ stage: 'export', text: (cause as Error).message }, { cause })
  }
  try {
    if (copyTicket(cache, `FILE:${path}`, client, service) === undefined)
      throw new StageError({ stage: 'export', text: 'the ticket is not there' })
    if ((statSync(path).mode & 0o777) !== 0o600)
      throw new StageError({ stage: 'export', text: 'the file is not private' })
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
}
