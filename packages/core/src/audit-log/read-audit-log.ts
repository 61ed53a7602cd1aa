import { kindOf, type LineKind, seqOf } from './format.ts'
import { linesOf } from './lines.ts'

/** One line of an audit log. */
export interface AuditLogEntry {
  /** The file as it was given. */
  readonly file: string
  /** From 1; where reading began at an offset, from there. */
  readonly line: number
  /** Where the next line begins, in bytes. */
  readonly end: number
  /** Whether the line has its end: where not, it may still be being written. */
  readonly complete: boolean
  /** A `record`, a `seal` of the writer (the beginning of a file, a restart, a checkpoint), or neither. */
  readonly kind: LineKind
  /** The sequence number that a sealed line states. Nothing is verified here. */
  readonly seq: number | undefined
  /** What the line says; undefined where it is no JSON object. Its strings may hold anything: escape what you show. */
  readonly value: Readonly<Record<string, unknown>> | undefined
}

/** Options of {@link readAuditLog}. */
export interface ReadAuditLogOptions {
  /** Absolute or relative paths, oldest first; see `auditLogFiles`. */
  readonly files: readonly string[]
  /** Where to begin in the first file, in bytes; the line that is cut there is left out. Default: 0. */
  readonly start?: number | undefined
}

/**
 * Reads audit logs, sealed or not, line by line, in bounded memory. Lines of more than 1 MiB, invalid UTF-8 and what is
 * no JSON object are entries without a value.
 * @throws TypeError where an option is wrong. Errors of the file system reject.
 */
export async function* readAuditLog(options: ReadAuditLogOptions): AsyncGenerator<AuditLogEntry, void, undefined> {
  const { files, start = 0 } = options
  if (!Array.isArray(files) || files.some((file) => typeof file !== 'string'))
    throw new TypeError('"files" must be a list of paths')
  if (!(Number.isSafeInteger(start) && start >= 0)) throw new TypeError('"start" must be a number of bytes')
  for (const [index, file] of files.entries()) {
    const from = index === 0 ? start : 0
    // From the byte before, to see whether a line begins there.
    let cut = from > 0
    let left = 0
    for await (const line of linesOf(file, cut ? from - 1 : 0)) {
      if (cut) {
        if (line.complete) {
          cut = false
          left = 1
        }
        continue
      }
      if (line.more) continue
      const value = line.piece ? undefined : objectOf(line.bytes)
      yield {
        file,
        line: line.number - left,
        end: line.end,
        complete: line.complete,
        kind: value === undefined ? 'malformed' : kindOf(line.bytes),
        seq: value === undefined ? undefined : seqOf(line.bytes),
        value,
      }
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function objectOf(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(UTF8.decode(bytes))
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
