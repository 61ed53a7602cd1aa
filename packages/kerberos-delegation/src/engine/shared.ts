/** Something that several use, and that ends with its last use once it is retired. */
export interface Shared<T> {
  readonly value: T
  use<R>(run: (value: T) => Promise<R>): Promise<R>
  /** It is used no more than it is. */
  retire(): void
}

export function shared<T>(value: T, dispose: (value: T) => void): Shared<T> {
  let uses = 0
  let retired = false
  return {
    value,
    use: async (run) => {
      uses++
      try {
        return await run(value)
      } finally {
        uses--
        if (retired && uses === 0) dispose(value)
      }
    },
    retire: () => {
      if (retired) return
      retired = true
      if (uses === 0) dispose(value)
    },
  }
}
