import { inspect } from 'node:util'

/** A value that is printed as `[redacted]` wherever something prints it, until {@link Secret.reveal} is called. */
export interface Secret<T> {
  /** The value itself. Hand it to the backend and to nothing else. */
  reveal(): T
}

const REDACTED = '[redacted]'

class Redacted<T> implements Secret<T> {
  readonly #value: T
  constructor(value: T) {
    this.#value = value
    Object.freeze(this)
  }
  reveal(): T {
    return this.#value
  }
  toString(): string {
    return REDACTED
  }
  toJSON(): string {
    return REDACTED
  }
  [Symbol.toPrimitive](): string {
    return REDACTED
  }
  [inspect.custom](): string {
    return REDACTED
  }
}
Object.freeze(Redacted.prototype)

/** Wraps `value` so that logs, `util.inspect`, `JSON.stringify` and string templates show `[redacted]`. */
export function secret<T>(value: T): Secret<T> {
  return new Redacted(value)
}
