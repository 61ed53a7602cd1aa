import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type AuditRecord, type FileAuditOptions, fileAudit } from '@mcp-delegation/core'
import { onTestFinished } from 'vitest'
import { outputTo } from '../src/output.ts'
import { runProgram } from '../src/program.ts'

/** The program, as it is built. */
export const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))

export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** A folder that is gone after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs `audit` of the program in `folder` until it ends. */
export function audit(folder: string, args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  return run(folder, process.execPath, [program, 'audit', ...args], input)
}

/** The same without a process of its own: for tables of calls. */
export async function call(args: readonly string[], input = ''): Promise<Outcome> {
  const [out, err] = [new PassThrough(), new PassThrough()]
  const outputs = Promise.all([text(out), text(err)])
  const status = await runProgram(args, {
    out: outputTo(out),
    err: outputTo(err),
    stdin: Readable.from([Buffer.from(input)]),
    now: Date.now,
    interruption: () => new AbortController().signal,
  })
  out.end()
  err.end()
  const [stdout, stderr] = await outputs
  return { status, stdout, stderr }
}

/** Runs a command in `folder` until it ends. */
export function run(
  folder: string,
  command: string,
  args: readonly string[],
  input: string | Buffer = '',
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd: folder, maxBuffer: 2 ** 26, timeout: 15_000 }
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr })
    })
    // Who does not read it is right, too.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** The program while it runs. */
export interface Running {
  readonly child: ChildProcess
  /** What it has written to its standard output. */
  text(): string
  /** Resolves when its output holds `part`. */
  shows(part: string): Promise<void>
  /** Sends a signal and resolves with the exit status, or with the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<{ readonly status: number | string | null; readonly stderr: string }>
}

/** Starts `audit` of the program in `folder`. */
export function start(folder: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, [program, 'audit', ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | string | null>((resolve) =>
    child.on('close', (status, signal) => resolve(signal ?? status)),
  )
  let stdout = ''
  let stderr = ''
  const watchers = new Set<() => void>()
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
    for (const watch of watchers) watch()
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  return {
    child,
    text: () => stdout,
    shows: (part) =>
      new Promise((resolve) => {
        const watch = (): void => {
          if (!stdout.includes(part)) return
          watchers.delete(watch)
          resolve()
        }
        watchers.add(watch)
        watch()
      }),
    end: async (signal) => {
      child.kill(signal)
      return { status: await ended, stderr }
    },
  }
}

/** When the records of tests begin, in milliseconds since the epoch. */
export const BEGIN: number = Date.parse('2026-01-31T10:00:00.000Z')

/** A record of a tool call, `second` seconds after the first one; what differs comes in `fields`. */
export function record(second: number, fields: object = {}): AuditRecord {
  const base = { event: 'tool', outcome: 'ok', tool: `tool-${second}`, groups: [], arguments: {} }
  const who = { sessionId: 'session-1', issuer: 'https://idp.example', subject: 'alice', clientId: 'client', act: [] }
  const what = { durationMs: 12.4, code: undefined, reason: undefined, traceId: undefined }
  return { at: new Date(BEGIN + second * 1000), ...base, ...who, ...what, ...fields } as AuditRecord
}

/** Writes records with the sink that servers use, and closes it. */
export async function write(
  path: string,
  records: readonly AuditRecord[],
  options: FileAuditOptions = {},
): Promise<void> {
  await using sink = fileAudit(path, { repeats: false, ...options })
  for (let begin = 0; begin < records.length; begin += 50) await Promise.all(records.slice(begin, begin + 50).map(sink))
}

/** The lines of an output. */
export function linesOf(output: string): string[] {
  return output.split('\n').filter((line) => line !== '')
}

/** The tools that readable lines name, in their order. */
export function toolsOf(output: string): string[] {
  return [...output.matchAll(/ {2}tool=(\S+)/g)].map(([, tool = '']) => tool)
}

/** What a terminal could take for something else than text. */
export const HOSTILE = /[^\P{C}\n]|\p{Zl}|\p{Zp}|\p{Default_Ignorable_Code_Point}/u
