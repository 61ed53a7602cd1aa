/** What is thrown for a PAC that can't be decoded. */
export class PacError extends Error {
  constructor(message: string) {
    super(`the PAC is malformed: ${message}`)
    this.name = 'PacError'
  }
}

/** Reads little-endian NDR, never beyond its end. Every method throws {@link PacError}. */
export interface NdrReader {
  /** Bytes that are left. */
  readonly left: () => number
  readonly u16: () => number
  readonly u32: () => number
  readonly bytes: (length: number) => Buffer
  /** Moves on to the next multiple of 4. */
  readonly align: () => void
}

const HEADERS = 16

/**
 * Opens what type serialization version 1 wrote: checks both headers, and ends where they say.
 * @see MS-RPCE 2.2.6
 * @throws PacError
 */
export function ndrReader(data: Uint8Array): NdrReader {
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (view.length < HEADERS) throw new PacError('it is shorter than its headers')
  if (view[0] !== 1 || view[1] !== 0x10 || view.readUInt16LE(2) !== 8)
    throw new PacError('it is not little-endian NDR, version 1')
  const end = HEADERS + view.readUInt32LE(8)
  if (end > view.length) throw new PacError('it is shorter than its header says')
  let at = HEADERS

  /** Where the next `length` bytes begin. */
  function step(length: number): number {
    if (length > end - at) throw new PacError(`it ends within a value at byte ${at}`)
    at += length
    return at - length
  }
  return {
    left: () => end - at,
    u16: () => view.readUInt16LE(step(2)),
    u32: () => view.readUInt32LE(step(4)),
    bytes: (length) => {
      const from = step(length)
      return view.subarray(from, from + length)
    },
    align: () => {
      step((4 - (at % 4)) % 4)
    },
  }
}
