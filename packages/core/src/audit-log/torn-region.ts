import { createHash, type Hash } from 'node:crypto'
import type { TornBytes } from './checkpoint.ts'
import type { Line } from './lines.ts'
import type { Finding } from './report.ts'

/** How many findings wait for an explanation. */
const MAX_PENDING = 1_000

/** What follows a line without continuing from it: damage, or what a crash left and the writer recorded. */
export class TornRegion {
  readonly findings: Finding[] = []
  readonly #hash: Hash = createHash('sha256')
  #bytes = 0
  /** Whether an end of line follows that the writer may have added. */
  #ended = false

  add({ bytes, complete, more }: Line): void {
    if (this.#ended) this.#update(Buffer.from('\n'))
    this.#update(bytes)
    this.#ended = complete && !more
  }

  /** Adds what is wrong with the region. Returns whether there is still room. */
  blame(finding: Finding): boolean {
    this.findings.push(finding)
    return this.findings.length < MAX_PENDING
  }

  #update(bytes: Buffer): void {
    this.#hash.update(bytes)
    this.#bytes += bytes.length
  }

  /** The number of bytes, where they are what the writer found when it went on; else undefined. */
  explainedBy(torn: TornBytes | undefined): number | undefined {
    if (torn === undefined) return undefined
    const { bytes, sha256 } = torn
    const whole = this.#hash.copy()
    if (bytes === this.#bytes + 1 && this.#ended) whole.update('\n')
    else if (bytes !== this.#bytes) return undefined
    return whole.digest('base64url') === sha256 ? bytes : undefined
  }
}
