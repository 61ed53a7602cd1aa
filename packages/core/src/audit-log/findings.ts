import type { Finding, FindingKind } from './report.ts'

const MAX_FINDINGS = 1_000

/** Findings, of which the first are kept and all are counted. */
export class Findings {
  readonly list: Finding[] = []
  readonly counts: Partial<Record<FindingKind, number>> = {}

  add(finding: Finding): void {
    this.counts[finding.kind] = (this.counts[finding.kind] ?? 0) + 1
    if (this.list.length < MAX_FINDINGS) this.list.push(finding)
  }
}
