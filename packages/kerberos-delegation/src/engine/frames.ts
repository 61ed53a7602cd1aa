/**
 * The frames between the server's process and the helper process:
 * u32 BE length of the rest | u32 BE length of the JSON | JSON in UTF-8 | binary rest, which may be empty.
 */

/** What every frame's JSON is: an answer carries the id of its request. */
export interface Message {
  readonly id: number
}

/** The most that one frame may say of its length, in bytes: 16 MiB. */
export const maxFrameLength: number = 16 * 1024 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const nothing = Buffer.alloc(0)

/** One frame, to be written as it is. Throws a `RangeError` where it would exceed {@link maxFrameLength}. */
export function encodeFrame(message: Message, binary: Uint8Array = nothing): Buffer {
  const json = JSON.stringify(message)
  const jsonLength = Buffer.byteLength(json)
  const length = 4 + jsonLength + binary.byteLength
  if (length > maxFrameLength) throw new RangeError('the frame is too long')
  const frame = Buffer.allocUnsafe(4 + length)
  frame.writeUInt32BE(length, 0)
  frame.writeUInt32BE(jsonLength, 4)
  frame.write(json, 8)
  frame.set(binary, 8 + jsonLength)
  return frame
}

/**
 * Takes a stream of frames apart. The function that it returns is given each chunk as it arrives, of any size, and calls
 * `receive` for each frame that is complete. `binary` is a view on the chunk: copy what is kept or handed on.
 * Throws where the stream is garbled (a length out of bounds, JSON that is none or has no `id`), and at every call after.
 */
export function frameDecoder<T extends Message>(
  receive: (message: T, binary: Buffer) => void,
): (chunk: Buffer) => void {
  let pending: Buffer[] = []
  let pendingLength = 0
  // How many bytes must be there before it is worth looking again.
  let needed = 8
  let garbled = false

  const fail = (why: string, cause?: unknown): never => {
    garbled = true
    pending = []
    throw new Error(`garbled frame: ${why}`, { cause })
  }

  const parse = (data: Buffer): T => {
    let message: unknown
    try {
      message = JSON.parse(utf8.decode(data))
    } catch (cause) {
      return fail('no JSON', cause)
    }
    if (typeof message !== 'object' || message === null || !('id' in message) || !Number.isSafeInteger(message.id)) {
      return fail('no id')
    }
    return message as T
  }

  return (chunk) => {
    if (garbled) fail('after a garbled one')
    let data = chunk
    if (pendingLength > 0) {
      pending.push(chunk)
      pendingLength += chunk.length
      if (pendingLength < needed) return
      data = Buffer.concat(pending, pendingLength)
      pending = []
      pendingLength = 0
    }
    let offset = 0
    needed = 8
    while (data.length - offset >= 8) {
      const length = data.readUInt32BE(offset)
      const jsonLength = data.readUInt32BE(offset + 4)
      if (length > maxFrameLength || length < 4 || jsonLength > length - 4) fail('a length is out of bounds')
      const end = offset + 4 + length
      if (end > data.length) {
        needed = 4 + length
        break
      }
      const binaryStart = offset + 8 + jsonLength
      const message = parse(data.subarray(offset + 8, binaryStart))
      offset = end
      receive(message, data.subarray(binaryStart, end))
    }
    if (offset < data.length) {
      pending.push(data.subarray(offset))
      pendingLength = data.length - offset
    }
  }
}
