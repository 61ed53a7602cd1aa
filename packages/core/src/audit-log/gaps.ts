/** Sequence numbers that were passed over. */
interface Gap {
  readonly from: number
  readonly to: number
  /** The hash of the line before `from`, where it is known. */
  readonly before: string | undefined
  /** Where the line after the gap stands. */
  readonly file: string
  readonly line: number
}

const MAX_GAPS = 1_000

/** The gaps in a sequence, as long as what is missing may still come. */
export class Gaps {
  #gaps: Gap[] = []

  /** Whether the gap is kept: their number is bounded. */
  add(gap: Gap): boolean {
    if (this.#gaps.length >= MAX_GAPS) return false
    this.#gaps.push(gap)
    return true
  }

  /** Takes back the gap that was added last, where it ends before `seq`. */
  takeBack(seq: number): void {
    if (this.#gaps.at(-1)?.to === seq - 1) this.#gaps.pop()
  }

  /** Fills a place. Returns the gap that it was in. Where there are too many, what is missing before it is forgotten. */
  fill(seq: number, hash: string): Gap | undefined {
    const index = this.#gaps.findIndex(({ from, to }) => seq >= from && seq <= to)
    const gap = this.#gaps[index]
    if (gap === undefined) return undefined
    const parts = [
      { ...gap, to: seq - 1 },
      { ...gap, from: seq + 1, before: hash },
    ]
    const left = parts.filter(({ from, to }) => from <= to)
    this.#gaps.splice(index, 1, ...(this.#gaps.length < MAX_GAPS ? left : left.slice(-1)))
    return gap
  }

  get left(): readonly Gap[] {
    return this.#gaps
  }

  copy(): Gaps {
    const copy = new Gaps()
    copy.#gaps = [...this.#gaps]
    return copy
  }
}
