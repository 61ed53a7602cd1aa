import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type AuditSink, type FileAuditOptions, fileAudit, fileCheckpoints } from '@mcp-delegation/core'
import { auditLogFiles } from '@mcp-delegation/core/audit'
import type { AuditRecord } from '../../src/audit.ts'

/** A record of an issued credential, some 700 bytes long. */
export function issued(subject: string, size = 500): AuditRecord {
  return {
    ...{ event: 'delegation', outcome: 'issued', at: new Date(0), sessionId: undefined },
    ...{ issuer: 'https://idp.example', subject, clientId: undefined, act: [], durationMs: 1, code: undefined },
    ...{ reason: undefined, traceId: undefined, tool: 't', module: 'm', type: 'bearer' },
    ...{ target: 'x'.repeat(size), principal: 'ü' },
  }
}

export function refused(subject: string | undefined, more: Partial<AuditRecord> = {}): AuditRecord {
  const { outcome: _, ...fields } = issued(subject ?? '', 10) as AuditRecord & { outcome: unknown }
  const who = subject === undefined ? { issuer: undefined, subject } : {}
  const record = { ...fields, outcome: 'refused', code: 'ERR_DELEGATION_DENIED', reason: 'no', ...who, ...more }
  return record as unknown as AuditRecord
}

export const keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } = generateKeyPairSync('ed25519')

export interface Folder extends Disposable {
  readonly path: string
  readonly log: string
  readonly witness: string
}

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'audit-log-'))
  return {
    path,
    log: join(path, 'audit.jsonl'),
    witness: join(path, 'checkpoints'),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

export type Sink = AuditSink & AsyncDisposable

export function sealed({ log, witness }: Folder, options: FileAuditOptions = {}, records = 20): Sink {
  const seal = { key: keys.privateKey, records, witness: fileCheckpoints(witness) }
  return fileAudit(log, { maxSize: 65_536, ...options, seal: { ...seal, ...options.seal } })
}

/** The lines of a file, without their ends. */
export function linesIn(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
}

export function parsed(path: string): readonly Record<string, unknown>[] {
  return linesIn(path).map((line) => JSON.parse(line))
}

/** The files of a log, in memory, by name. */
export type Files = ReadonlyMap<string, readonly string[]>

export async function filesOf({ log }: Folder): Promise<Files> {
  return new Map((await auditLogFiles(log)).map((path) => [basename(path), linesIn(path)]))
}

/** Writes files to a folder of their own. Returns their paths. */
export function store({ path }: Folder, files: Files): readonly string[] {
  return [...files].map(([name, lines]) => {
    writeFileSync(join(path, name), lines.map((line) => `${line}\n`).join(''))
    return join(path, name)
  })
}

const LINE = /^\{"seq":(\d+),(.*),"hash":"([\w-]{43})"\}$/

export function seqIn(line: string): number {
  return Number(LINE.exec(line)?.[1])
}

export function hashIn(line: string): string {
  return LINE.exec(line)?.[3] ?? ''
}

/** The same lines with numbers and hashes that are right after `seq` and `hash`. No checkpoint is signed anew. */
export function chained(lines: readonly string[], seq: number, hash: string): string[] {
  let last = hash
  return lines.map((line, index) => {
    const body = `{"seq":${seq + index + 1},${LINE.exec(line)?.[2]}`
    last = createHash('sha256')
      .update(last + body)
      .digest('base64url')
    return `${body},"hash":"${last}"}`
  })
}
