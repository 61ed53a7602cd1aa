import { existsSync } from 'node:fs'
import { Socket } from 'node:net'
import { exportedFiles } from './exported-files.ts'
import { encodeFrame, frameDecoder, maxFrameLength } from './frames.ts'
import type { HelperFailure, HelperRequest } from './messages.ts'
import { isProfile } from './profile-file.ts'
import type { Answer, Requests } from './requests.ts'

/** The helper process: it holds the service's keys and all tickets, and serves its parent through file descriptor 3. */

const CHANNEL = 3
/** After so many answers the parent gets something to do while the next ones are made. */
const BATCH = 4
const ROOM_FOR_JSON = 1024
/** In seconds. */
const PATIENCE = 30

const parent = process.ppid
const files = exportedFiles()
const profile = process.env['KRB5_CONFIG']
if (isProfile(profile)) files.add(profile)

/** `process.exit` would wait for threads that wait for a KDC. */
function die(why?: unknown): void {
  files.removeAll()
  if (why !== undefined) process.stderr.write(`${why instanceof Error ? why.stack : why}\n`)
  process.kill(process.pid, 'SIGKILL')
}

process.on('uncaughtException', die)
// The parent decides when this process ends. SIGUSR1 would let a debugger in.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => {})
// Sent by the system when the parent ends; from anybody else it means nothing.
process.on('SIGUSR2', () => {
  if (process.ppid !== parent) die()
})
process.umask(0o077)

const channel = new Socket({ fd: CHANNEL })

let unsent = 0

function send(message: { readonly id: number }, binary?: Uint8Array | undefined): void {
  channel.write(encodeFrame(message, binary))
  if (++unsent % BATCH !== 0 || channel.writableCorked === 0) return
  channel.uncork()
  channel.cork()
}

function answer(id: number, { ok, binary }: Answer): void {
  const fits = binary === undefined || binary.length < maxFrameLength - ROOM_FOR_JSON
  if (fits) send({ id, ok } as { id: number }, binary)
  else send({ id, failed: { stage: 'context', text: 'the message is too long' } } as { id: number })
}

function fail(id: number, error: unknown, failureOf: (error: unknown) => HelperFailure | undefined): void {
  const failed = failureOf(error)
  if (failed === undefined) die(error)
  else send({ id, failed } as { id: number })
}

/** Loads the native libraries, or what says why there are none. */
async function load(): Promise<{ requests: Requests; failureOf: (error: unknown) => HelperFailure | undefined }> {
  try {
    const { endIfHung, harden } = await import('./native/hardening.ts')
    harden()
    endIfHung(PATIENCE)
    const { requests } = await import('./requests.ts')
    const { StageError } = await import('./native/stages.ts')
    return {
      requests: requests({
        files,
        now: Date.now,
        report: (problem) => process.stderr.write(`${problem}\n`),
        onCrash: die,
      }),
      failureOf: (error) => (error instanceof StageError ? error.failure : undefined),
    }
  } catch (error) {
    const failure: HelperFailure = { stage: 'load', text: (error as Error).message }
    return { requests: () => Promise.reject(error), failureOf: () => failure }
  }
}

const { requests, failureOf } = await load()

/** What asks the KDC, and so needs the profile: without it, the library would have DNS say who that is. */
const NEEDS_PROFILE: ReadonlySet<HelperRequest['op']> = new Set(['start', 'check', 'obtain'])

const decode = frameDecoder<HelperRequest & { id: number }>(({ id, ...request }, binary) => {
  if (NEEDS_PROFILE.has(request.op) && isProfile(profile) && !existsSync(profile))
    return die('the profile was removed: the next process gets another')
  try {
    const result = requests(request as HelperRequest, binary)
    if (result instanceof Promise)
      result.then(
        (answered) => answer(id, answered),
        (error: unknown) => fail(id, error, failureOf),
      )
    else answer(id, result)
  } catch (error) {
    fail(id, error, failureOf)
  }
})

channel.on('data', (chunk: Buffer) => {
  // What is answered at once goes out in few writes.
  channel.cork()
  unsent = 0
  try {
    decode(chunk)
  } catch (error) {
    die(error)
  }
  channel.uncork()
})
channel.on('error', die)
channel.on('close', () => die())
channel.on('end', () => die())
