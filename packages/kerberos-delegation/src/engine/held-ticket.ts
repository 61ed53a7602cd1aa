import { unlink } from 'node:fs/promises'
import { type EngineContext, EngineError, type Ticket } from './engine.ts'
import type { HelperProcess, Reply } from './helper-process.ts'
import type { TicketFacts } from './messages.ts'

const disposed = (what: string): EngineError => new EngineError('closed', `the ${what} was disposed`)

/** A copy with memory of its own: the view that came shares its memory with the answers to others. */
const own = ({ binary }: Reply): Uint8Array => new Uint8Array(binary)

/** Lets go of something in the process; where the process has gone, so has it. */
async function letGo(helper: HelperProcess, done: Promise<unknown>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (helper.alive && error instanceof EngineError && error.kind === 'failed') throw error
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    const failure = { stage: 'export', text: 'the exported file could not be removed' } as const
    throw new EngineError('failed', failure.text, { failure, cause })
  }
}

/** The ticket `id` of a helper process. An identity has none. */
export function heldTicket(
  helper: HelperProcess,
  { ticket: id, ...facts }: TicketFacts & { ticket: number | undefined },
): Ticket {
  let released = false

  /** Why it can't be used, if it can't. */
  const refusal = (): EngineError | undefined => {
    if (released) return disposed('ticket')
    if (!helper.alive) return new EngineError('lost', 'the Kerberos process that held the ticket has gone')
    return undefined
  }

  const remove = async (path: string): Promise<void> => {
    await removeFile(path)
    // So that the process does not remove at its end what may have that name by then.
    if (helper.alive) helper.call({ op: 'remove', path }).catch(() => {})
  }

  return {
    facts,
    get usable() {
      return !released && helper.alive
    },
    token: (channelBindings) => {
      const error = refusal()
      if (error !== undefined || id === undefined) return Promise.reject(error ?? disposed('ticket'))
      return helper.call({ op: 'token', ticket: id }, channelBindings).then(own)
    },
    context: async (options, channelBindings) => {
      const error = refusal()
      if (error !== undefined || id === undefined) throw error ?? disposed('ticket')
      const reply = await helper.call({ op: 'context', ticket: id, ...options }, channelBindings, (late) => {
        if (late !== undefined) helper.call({ op: 'close', context: late.ok.context }).catch(() => {})
      })
      return heldContext(helper, reply)
    },
    exportTo: async (path) => {
      const error = refusal()
      if (error !== undefined || id === undefined) throw error ?? disposed('ticket')
      const forget = (): void => void remove(path).catch(() => {})
      try {
        await helper.call({ op: 'export', ticket: id, path }, undefined, forget)
      } catch (error) {
        // Whether it was written is unknown; where the process said that it failed, it wasn't.
        if (error instanceof EngineError && error.kind !== 'failed') forget()
        throw error
      }
    },
    remove,
    release: async () => {
      if (released) return
      released = true
      if (id !== undefined && helper.alive) await letGo(helper, helper.call({ op: 'release', ticket: id }))
    },
  }
}

function heldContext(helper: HelperProcess, first: Reply<'context'>): EngineContext {
  const { context } = first.ok
  const token = own(first)
  let { done } = first.ok
  let closed = false

  const live = (): void => {
    if (closed) throw disposed('security context')
  }

  return {
    token,
    get done() {
      return done
    },
    step: async (reply) => {
      live()
      const answer = await helper.call({ op: 'step', context }, reply)
      done = answer.ok.done
      return own(answer)
    },
    wrap: async (message, encrypted) => {
      live()
      return own(await helper.call({ op: 'wrap', context, encrypted }, message))
    },
    unwrap: async (message, encrypted) => {
      live()
      return own(await helper.call({ op: 'unwrap', context, encrypted }, message))
    },
    close: async () => {
      if (closed) return
      closed = true
      if (helper.alive) await letGo(helper, helper.call({ op: 'close', context }))
    },
  }
}
