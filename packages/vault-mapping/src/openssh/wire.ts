/** Reads the data types of SSH from a buffer, in turn. @see https://www.rfc-editor.org/rfc/rfc4251#section-5 */
export class WireReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** @throws RangeError beyond the end, as all of them. */
  uint32(): number {
    return this.#take(4).readUInt32BE()
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE()
  }

  string(): Buffer {
    return this.#take(this.uint32())
  }

  #take(length: number): Buffer {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new RangeError('the data ends early')
    const taken = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return taken
  }
}

/** A 32-bit number. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A text, or bytes, behind its length. */
export function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}
