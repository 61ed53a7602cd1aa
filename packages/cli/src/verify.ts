import type { KeyObject } from 'node:crypto'
import { resolve } from 'node:path'
import {
  type AuditLogReport,
  auditLogFiles,
  type Finding,
  type SealedPoint,
  verifyAuditLog,
} from '@mcp-delegation/core/audit'
import type { Command } from './command.ts'
import { opened, openedRegular } from './opened.ts'
import { printableJson } from './printable.ts'
import { publicKeysIn } from './public-keys.ts'
import { readArguments, UsageError } from './usage.ts'

const OPTIONS = {
  key: { type: 'string', multiple: true, default: [] as string[] },
  checkpoints: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

/** Whether a sealed audit log is as it was written. */
export const verify: Command = {
  summary: 'prove that a sealed log is as it was written',
  help: `Usage: mcp-delegation audit verify --key KEY… [--checkpoints FILE] [--json] FILE…

Finds what was changed, removed, inserted, reordered or cut off in a sealed audit log, and says how far it is proven.
FILE is the file being written: those that were rotated away from it (FILE.000001, …) are found. Or give them all.

      --key KEY           a file with the public key that seals the log, as PEM, JWK or JWKS; several where it
                          was changed
      --checkpoints FILE  the checkpoints that are held elsewhere. Without them nobody can tell a log that was cut off
                          at its end, or replaced by somebody who has the private key
      --json              the report as JSON

Exit status: 0 nothing was found, 1 something was found, 2 the log could not be read or the call was wrong.
`,
  async run(args, { out }) {
    const { values, positionals } = readArguments(args, OPTIONS)
    if (values.key.length === 0) throw new UsageError('audit verify needs --key, the public key that seals the log')
    if (positionals.length === 0) throw new UsageError('audit verify needs a FILE')
    const keys = (await Promise.all(values.key.map(publicKeysIn))).flat()
    const [checkpoints, ...more] = values.checkpoints
    if (more.length > 0) throw new UsageError('audit verify takes --checkpoints once')
    const report = await reportOn(positionals, keys, checkpoints)
    const lines = values.json ? [printableJson(JSON.stringify(report))] : reportLines(report, checkpoints !== undefined)
    const status = report.ok ? 0 : 1
    try {
      for (const line of lines) await out.line(line)
      await out.flush()
    } catch (error) {
      // Also who reads no further must not take a log for proven that is not.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
    }
    return status
  },
}

/** How often a log is read that is rotated meanwhile: then its files are others than those that were there. */
const MOST_READINGS = 3

async function reportOn(
  paths: readonly string[],
  keys: readonly KeyObject[],
  checkpoints: string | undefined,
): Promise<AuditLogReport> {
  if (checkpoints !== undefined) await (await openedRegular(checkpoints)).close()
  for (let reading = 1; ; reading++) {
    const files = await allFiles(paths)
    const isLast = async (): Promise<boolean> => reading === MOST_READINGS || `${files}` === `${await allFiles(paths)}`
    try {
      for (const path of files) await (await openedRegular(path)).close()
      const report = await verifyAuditLog({ files, keys, checkpoints })
      if (report.ok || (await isLast())) return report
    } catch (error) {
      if (await isLast()) throw error
    }
  }
}

/** The files that are given, with those that were rotated away from them; each once, oldest first. */
async function allFiles(paths: readonly string[]): Promise<string[]> {
  const files = new Map<string, string>()
  for (const path of paths) {
    const found = await auditLogFiles(path).catch(() => [])
    // Being rotated, the file is not there for a moment. Where nothing is, this says why.
    if (found.length === 0) await (await opened(path)).close()
    for (const file of found.length === 0 ? [path] : found) files.set(resolve(file), file)
  }
  return [...files.values()]
}

function reportLines(report: AuditLogReport, held: boolean): string[] {
  const { files, findings, counts, records, checkpoints, restarts, keptFrom } = report
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return [
    ...files.map(({ path, lines, firstSeq, lastSeq }) => `${path}: ${many(lines, 'line')}, ${span(firstSeq, lastSeq)}`),
    ...(keptFrom > 1 ? [`lines before ${keptFrom} were deleted, as a checkpoint says that they may be`] : []),
    ...restarts.map(
      ({ file, line, seq, unsealed, tornBytes }) =>
        `restart: ${file}, line ${line}, sequence ${seq}: ${many(unsealed, 'line')} without a checkpoint before it` +
        (tornBytes > 0 ? `, and ${many(tornBytes, 'byte')} of an incomplete write` : ''),
    ),
    ...findings.map(findingLine),
    ...(total > findings.length ? [`… and ${total - findings.length} more`] : []),
    `${many(records, 'record')}, ${many(checkpoints, 'checkpoint')} in the log, ${many(total, 'finding')}`,
    `sealed: ${pointOf(report.sealed)}, ${many(report.unsealed, 'record')} after it`,
    `held elsewhere: ${held ? `${pointOf(report.witnessed)}, ${many(report.unwitnessed, 'record')} after it` : 'not given'}`,
    report.claim,
  ]
}

function findingLine({ kind, file, line, seq, message }: Finding): string {
  return `FOUND ${kind}: ${file}, line ${line}${seq === undefined ? '' : `, sequence ${seq}`}: ${message}`
}

function pointOf(point: SealedPoint | undefined): string {
  if (point === undefined) return 'nothing'
  return `up to sequence ${point.seq}, signed at ${point.at.toISOString()}${point.keyId === undefined ? '' : ` with key ${point.keyId}`}`
}

function span(first: number | undefined, last: number | undefined): string {
  return first === undefined ? 'no sequence' : `sequence ${first} to ${last}`
}

function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
