import { block, copyIn, copyOut, gss, libc } from './libraries.ts'

/** Where something is; it stays within this folder. */
export type Address = number

const ROOM = 0x4000
const { address: base, view } = block(ROOM)
const bytes = Buffer.from(view)
const words = new Uint32Array(view)

/** Places for results of native calls: one set per thread, since a call's results are read before the next call. */
export const MINOR: Address = base
export const HANDLE: Address = base + 0x08
export const SECOND: Address = base + 0x10
export const FLAGS: Address = base + 0x18
export const STATE: Address = base + 0x1c
export const SECONDS: Address = base + 0x20
export const MORE: Address = base + 0x24
/** Descriptors of buffers: length and address. */
const INPUT: Address = base + 0x30
export const OUTPUT: Address = base + 0x40
export const OTHER: Address = base + 0x50
/** Room for krb5_creds and krb5_keytab_entry. */
export const RECORD: Address = base + 0x100

const FREE = 0x400
let next = FREE
let large: Address[] = []

/** Starts the arguments of a call: those of the call before are gone. */
export function begin(): void {
  next = FREE
  for (const address of large) libc.free(address)
  large = []
}

/** Room for an argument of the coming call. */
function room(length: number): Address {
  const from = (next + 7) & ~7
  if (from + length <= ROOM) {
    next = from + length
    return base + from
  }
  const address = libc.malloc(length)
  if (address === 0) throw new Error('out of memory')
  large.push(address)
  return address
}

/** Room that is never given back: constants. */
export function constant(data: Uint8Array): Address {
  const { address, view } = block(Math.max(data.length, 8))
  new Uint8Array(view).set(data)
  return address
}

/** Bytes as an argument. */
export function put(data: Uint8Array): Address {
  const address = room(data.length)
  if (address >= base && address < base + ROOM) bytes.set(data, address - base)
  else copyIn(address, data, data.length)
  return address
}

/** Zero-terminated text as an argument. */
export function text(value: string): Address {
  return put(Buffer.from(`${value}\0`))
}

/** A buffer as an argument, described at `at`. */
export function buffer(data: Uint8Array, at: Address = INPUT): Address {
  const address = put(data)
  write(at, data.length)
  write(at + 8, address)
  return at
}

/** Reads an address or a length at one of the places. */
export function read(at: Address): number {
  const index = (at - base) >> 2
  return (words[index] as number) + (words[index + 1] as number) * 2 ** 32
}

export function write(at: Address, value: number): void {
  const index = (at - base) >> 2
  words[index] = value % 2 ** 32
  words[index + 1] = Math.floor(value / 2 ** 32)
}

export function read32(at: Address): number {
  return words[(at - base) >> 2] as number
}

export function write32(at: Address, value: number): void {
  words[(at - base) >> 2] = value
}

/** Copies the buffer that a call left, and gives it back. */
export function take(at: Address = OUTPUT): Buffer {
  const length = read(at)
  const data = Buffer.allocUnsafe(length)
  if (length > 0) copyOut(data, read(at + 8), length)
  if (read(at + 8) !== 0) gss.release_buffer(MINOR, at)
  return data
}
