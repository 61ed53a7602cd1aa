import type { HelperFailure, Stage } from '../messages.ts'
import { GssError } from './gss.ts'
import { Krb5Error } from './krb5.ts'

/** A failure that is reported as it is. */
export class StageError extends Error {
  readonly failure: HelperFailure

  constructor(failure: HelperFailure, options?: ErrorOptions) {
    super(`${failure.stage}: ${failure.text}`, options)
    this.failure = failure
  }
}

/** Runs a step; what the libraries throw in it becomes a {@link StageError} that says which step it was. */
export function inStage<T>(stage: Stage, step: () => T, more?: Partial<HelperFailure>): T {
  try {
    return step()
  } catch (cause) {
    if (cause instanceof StageError) throw cause
    const text = (cause as Error).message
    if (cause instanceof GssError) {
      const { major, minor } = cause
      throw new StageError({ stage, text, major, minor, ...more }, { cause })
    }
    if (cause instanceof Krb5Error) throw new StageError({ stage, text, minor: cause.minor, ...more }, { cause })
    throw cause
  }
}
