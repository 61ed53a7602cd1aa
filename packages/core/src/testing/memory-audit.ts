import type { AuditRecord, AuditSink } from '../audit.ts'

/** An audit sink that keeps every record, for tests. It accepts at once and forgets nothing. */
export function memoryAudit(): AuditSink & { readonly records: readonly AuditRecord[] } {
  const records: AuditRecord[] = []
  const sink = (record: AuditRecord): void => {
    records.push(record)
  }
  return Object.assign(sink, { records })
}
