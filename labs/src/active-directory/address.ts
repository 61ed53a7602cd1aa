import { randomInt } from 'node:crypto'

/** An address of the loopback network by chance, out of four million: two labs do not meet. */
export function freeAddress(): string {
  return `127.${randomInt(64, 127)}.${randomInt(0, 256)}.${randomInt(1, 255)}`
}
