import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Logger } from '@mcp-delegation/core'
import { EngineError } from './engine.ts'
import { encodeFrame, frameDecoder, type Message } from './frames.ts'
import type { HelperAnswers, HelperFailure, HelperRequest, Start } from './messages.ts'
import { writeProfile } from './profile-file.ts'
import { logStderr } from './stderr-lines.ts'

/** What is run as the helper process: for tests another clock, or another program. */
export interface HelperCommand {
  readonly file: string
  readonly args: readonly string[]
  /** Added to the environment, which is otherwise built from nothing. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** The helper process proper. */
export const helperCommand: HelperCommand = {
  file: process.execPath,
  args: [fileURLToPath(new URL('./main.js', import.meta.url))],
}

export interface HelperProcessOptions {
  readonly command: HelperCommand
  readonly profile: string
  readonly start: Start
  /** How long each call may take, in milliseconds. */
  readonly deadline: number
  readonly log: Logger
  /** Called once, as soon as the process can't be used any more. */
  readonly onEnd: () => void
  /** Gives up starting. */
  readonly signal: AbortSignal
}

/** An answer and its binary part, a view that is to be copied where it is kept. */
export interface Reply<Op extends keyof HelperAnswers = keyof HelperAnswers> {
  readonly ok: HelperAnswers[Op]
  readonly binary: Buffer
}

/** The request of an operation. */
type RequestOf<Op extends keyof HelperAnswers> = HelperRequest & { readonly op: Op }

/** A helper process that has started. */
export interface HelperProcess {
  /** False as soon as it can't be used any more. */
  readonly alive: boolean
  /** Whether it was given up since it did not react at all. */
  readonly hung: boolean
  /**
   * Asks, and rejects with {@link EngineError}; `late` at the deadline. `afterwards` is called once if it was late: with
   * the answer when it comes after all, or with nothing when the process ended or the call failed.
   */
  call<Op extends keyof HelperAnswers>(
    request: RequestOf<Op>,
    binary?: Uint8Array | undefined,
    afterwards?: (reply: Reply<Op> | undefined) => void,
  ): Promise<Reply<Op>>
  /** Kills it; what is in flight rejects with `lost`. */
  kill(why: string): void
  /** Ends it, by force after half a second; what is in flight rejects with `closed`. Resolves when it has gone. */
  end(): Promise<void>
}

interface Answer extends Message {
  readonly ok?: HelperAnswers[keyof HelperAnswers]
  readonly failed?: HelperFailure
}

interface Pending {
  readonly sentAt: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: EngineError) => void
  readonly afterwards: ((reply: Reply | undefined) => void) | undefined
}

/** Loading the native libraries takes tens of milliseconds; a machine under load takes its time. */
const START_DEADLINE = 10_000
const END_GRACE = 500
/** How long the exit code and the last words may take once the channel has closed, in milliseconds. */
const LAST_WORDS = 500

const failed = (failure: HelperFailure): EngineError =>
  new EngineError('failed', `Kerberos failed in step "${failure.stage}": ${failure.text}`, { failure })

/** No PATH, no NODE_OPTIONS, no default cache or keytab: nothing of the server's environment counts. */
const environment = (profile: string, extra: HelperCommand['env']): Record<string, string> => ({
  KRB5_CONFIG: profile,
  KRB5CCNAME: 'MEMORY:nobody',
  KRB5RCACHENAME: 'none:',
  KRB5RCACHETYPE: 'none',
  KRB5_KTNAME: 'MEMORY:nobody',
  KRB5_CLIENT_KTNAME: 'MEMORY:nobody',
  // Plugins of SSSD and winbind name KDCs before the profile does; no setting of the profile turns them off.
  SSSD_KRB5_LOCATOR_DISABLE: '1',
  _NO_WINBINDD: '1',
  ...extra,
})

/**
 * Starts a helper process and resolves when it is ready for calls. Rejects with {@link EngineError}: `failed` as the
 * process says, or `lost` where it could not be started or ended at once.
 */
export async function startHelperProcess(options: HelperProcessOptions): Promise<HelperProcess> {
  const { command } = options
  let child: ChildProcess
  try {
    const profile = await writeProfile(options.profile)
    // The process removes it too, when this one has gone.
    const remove = (): void => void profile.remove().catch(() => {})
    try {
      child = spawn(command.file, command.args, {
        cwd: '/',
        env: environment(profile.path, command.env),
        stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      })
    } catch (error) {
      remove()
      throw error
    }
    child.once('exit', remove)
    child.once('error', remove)
    // Without file descriptors there is not even a channel.
    if ((child.stdio as unknown) === undefined) throw await new Promise((resolve) => child.once('error', resolve))
  } catch (cause) {
    throw new EngineError('lost', 'the Kerberos process could not be started', { cause })
  }
  const helper = attach(child, options)
  const { signal } = options
  const giveUp = (): void => void helper.end()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    if (signal.aborted) giveUp()
    await helper.call({ op: 'start', ...options.start })
    helper.started()
    return helper
  } catch (error) {
    await helper.end()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

/** Speaks with a process that was spawned. */
function attach(child: ChildProcess, options: HelperProcessOptions): HelperProcess & { started(): void } {
  const { log } = options
  const socket = child.stdio[3] as Socket | null | undefined
  const lastWords = child.stderr === null ? () => [] : logStderr(child.stderr, log)
  const pending = new Map<number, Pending>()
  const overdue = new Map<number, Pending>()
  let limit = START_DEADLINE
  let ready = false
  let nextId = 1
  let heardAt = performance.now()
  let askedAt: number | undefined
  let alive = true
  let hung = false
  let gone = false
  let sweep: NodeJS.Timeout | undefined
  let outgoing: Buffer[] = []

  const settleAll = (kind: 'lost' | 'closed', message: string, cause?: unknown): void => {
    const calls = [...pending.values()]
    const late = [...overdue.values()]
    pending.clear()
    overdue.clear()
    clearTimeout(sweep)
    for (const call of calls) call.reject(new EngineError(kind, message, { cause }))
    for (const call of late) call.afterwards?.(undefined)
  }

  const discard = (): void => {
    if (!alive) return
    alive = false
    options.onEnd()
  }

  /** The process can't be used any more, by our decision. */
  const abandon = (kind: 'lost' | 'closed', message: string, cause?: unknown): void => {
    discard()
    settleAll(kind, message, cause)
    socket?.destroy()
    child.kill('SIGKILL')
  }

  const whyGone = (): string => {
    if (child.pid === undefined) return 'the Kerberos process could not be started'
    const end = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`
    const words = lastWords()
    return `the Kerberos process ended with ${end}${words.length === 0 ? '' : `; it wrote: ${words.join(' | ')}`}`
  }

  /** The process ended by itself, or is about to. What is in flight waits for the exit code, but not for long. */
  const lose = (cause?: unknown): void => {
    if (!alive) return
    discard()
    child.ref()
    const settle = (): void => {
      clearTimeout(timer)
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        settleAll('lost', 'the Kerberos process closed its channel', cause)
      } else settleAll('lost', whyGone(), cause)
      socket?.destroy()
    }
    const timer = setTimeout(() => setImmediate(settle), LAST_WORDS)
    if (gone) settle()
    else child.once('close', settle)
  }

  const check = (): void => {
    sweep = undefined
    if (pending.size === 0) return
    const now = performance.now()
    const patience = limit / 2
    // A process that is busy with the KDC answers this at once; one whose main thread hangs does not.
    if (askedAt !== undefined && heardAt < askedAt && now - askedAt >= patience * 0.9) hung = true
    for (const [id, late] of pending) {
      if (now - late.sentAt < limit) break
      pending.delete(id)
      overdue.set(id, late)
      late.reject(new EngineError('late', `the Kerberos process did not answer within ${limit} ms`))
    }
    if (hung) {
      log.warn({}, 'the Kerberos process hangs and is replaced')
      abandon('lost', 'the Kerberos process hung and was killed')
      return
    }
    const oldest = pending.values().next().value
    const quiet = oldest !== undefined && now - oldest.sentAt >= patience && heardAt < oldest.sentAt
    if (ready && quiet && (askedAt === undefined || heardAt >= askedAt)) {
      askedAt = now
      // Harmless, answered on the main thread, and for nobody.
      call({ op: 'close', context: 0 }).catch(() => {})
    }
    idleOrNot()
    arm()
  }

  /**
   * Wakes up when the oldest call has waited for half of its deadline, and when it is late. A timer that was set for a
   * call that is answered meanwhile stays: it is early for all that came later, and sets the next.
   */
  const arm = (): void => {
    if (sweep !== undefined) return
    const oldest = pending.values().next().value
    if (oldest === undefined) return
    const now = performance.now()
    const half = oldest.sentAt + limit / 2
    const due = now < half ? half : oldest.sentAt + limit
    // Answers that have come while this process was busy are read before the check.
    sweep = setTimeout(() => setImmediate(check), Math.max(1, Math.ceil(due - now)))
    sweep.unref()
  }

  /** Keeps the server's process alive while something is in flight, and only then. */
  const idleOrNot = (): void => {
    if (pending.size === 0) socket?.unref()
  }

  const flush = (): void => {
    const frames = outgoing
    outgoing = []
    if (!alive || socket == null) return
    const [only] = frames
    if (only !== undefined) socket.write(frames.length === 1 ? only : Buffer.concat(frames))
  }

  const call: HelperProcess['call'] = (request, binary, afterwards) => {
    if (!alive) return Promise.reject(new EngineError('lost', 'the Kerberos process has gone'))
    const id = nextId++
    let frame: Buffer
    try {
      frame = encodeFrame({ id, ...request }, binary)
    } catch (cause) {
      const failure: HelperFailure = { stage: 'context', text: 'the message is longer than 16 MiB' }
      return Promise.reject(new EngineError('failed', failure.text, { failure, cause }))
    }
    if (outgoing.push(frame) === 1) process.nextTick(flush)
    if (pending.size === 0) socket?.ref()
    return new Promise((resolve, reject) => {
      pending.set(id, {
        sentAt: performance.now(),
        resolve: resolve as Pending['resolve'],
        reject,
        afterwards: afterwards as Pending['afterwards'],
      })
      if (sweep === undefined) arm()
    })
  }

  const receive = (answer: Answer, binary: Buffer): void => {
    if (!alive) return
    const { id, ok } = answer
    if (typeof ok !== 'object' && typeof answer.failed?.text !== 'string') throw new Error('garbled frame: no answer')
    const inTime = pending.get(id)
    if (inTime !== undefined) {
      pending.delete(id)
      if (ok !== undefined) inTime.resolve({ ok, binary })
      else inTime.reject(failed(answer.failed as HelperFailure))
      return
    }
    const late = overdue.get(id)
    if (late === undefined) throw new Error('garbled frame: an answer that nobody asked for')
    overdue.delete(id)
    late.afterwards?.(ok === undefined ? undefined : { ok, binary })
  }

  const decode = frameDecoder<Answer>(receive)

  child.on('error', lose)
  child.once('exit', () => lose())
  child.once('close', () => {
    gone = true
  })
  child.unref()
  ;(child.stderr as Socket | null)?.unref()
  socket?.on('data', (chunk: Buffer) => {
    if (!alive) return
    heardAt = performance.now()
    try {
      decode(chunk)
    } catch (cause) {
      log.error({ error: cause }, 'the Kerberos process answers what cannot be understood, and is replaced')
      abandon('lost', 'the Kerberos process answered what cannot be understood', cause)
      return
    }
    idleOrNot()
  })
  socket?.on('error', lose)
  socket?.on('close', () => lose())

  return {
    get alive() {
      return alive
    },
    get hung() {
      return hung
    },
    call,
    started: () => {
      clearTimeout(sweep)
      sweep = undefined
      limit = options.deadline
      ready = true
    },
    kill: (why) => abandon('lost', `the Kerberos process was killed: ${why}`),
    end: async () => {
      discard()
      settleAll('closed', 'the Kerberos engine was disposed')
      if (gone || child.pid === undefined) return
      const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
      child.ref()
      ;(child.stderr as Socket | null)?.ref()
      socket?.destroy()
      const timer = setTimeout(() => child.kill('SIGKILL'), END_GRACE)
      await closed
      clearTimeout(timer)
    },
  }
}
