import type { DelegationErrorCode } from '../../errors.ts'
import type { DelegationModule } from '../../module.ts'
import type { Session } from '../../session.ts'

/** One caller with one request. Sessions need a token; `testSession` gives each its own. */
export interface ConformanceCase<Input> {
  readonly session: Session
  readonly request: Input
}

/** A way in which the backend can let the module down, and what the module must make of it. */
export interface ConformanceFault<Request, Value, Input> extends ConformanceCase<Input> {
  /** Completes the sentence "fails with … when …": `the backend is down`. */
  readonly when: string
  /** A module that meets the fault. Default: the fixture's own `create`. */
  readonly create?: (() => DelegationModule<Request, Value, Input>) | undefined
  /** The code that the caller must see. */
  readonly code: DelegationErrorCode
}

/** What `moduleConformance` needs to know of a module. */
export interface ConformanceFixture<Request, Value, Input = Request> {
  /** Makes a module that is ready. Called for each check; the check disposes of what it got. */
  readonly create: () => DelegationModule<Request, Value, Input>
  /** Two different users who may have a credential, with requests that succeed. */
  readonly granted: readonly [ConformanceCase<Input>, ConformanceCase<Input>]
  /** A user of whom the mapping, or the module's allow rule, knows nothing. */
  readonly unmapped: ConformanceCase<Input>
  /**
   * Everything in a value that must stay secret, revealed: 8 characters or more each. What is kept from errors, logs and
   * audit, and what two users must not share, is judged by it.
   */
  readonly secretsOf: (value: Value) => readonly string[] | Promise<readonly string[]>
  /** What the module itself keeps secret: its own password or key at the backend. 8 characters or more each. */
  readonly secrets?: readonly string[] | undefined
  /** Failures of the backend, each of which becomes a check of its own. */
  readonly faults?: readonly ConformanceFault<Request, Value, Input>[] | undefined
  /** Whether the module says that its principals stand for many users, so that two of them may have one. Default: no. */
  readonly shared?: boolean | undefined
  /**
   * How many live things (sessions, dynamic users, leases) the backend holds now. Without it nobody can see whether
   * the module gives back what it took: pass it for whatever has a `release`.
   */
  readonly outstanding?: (() => number | Promise<number>) | undefined
  /** Uses the credential, and answers whom the backend saw, in the form of the module's principal. */
  readonly whoami?: ((value: Value) => Promise<string>) | undefined
  /** How long a module may take to stop, to give back and to be disposed, in milliseconds. Default: 1,000. */
  readonly patience?: number | undefined
}

/** One named test. */
export interface ConformanceCheck {
  readonly name: string
  /** Rejects where the module is wrong, and says what to do instead. */
  run(): Promise<void>
}

/** A fixture to which the checks pass values through without looking into their types. */
export type Fixture = ConformanceFixture<unknown, unknown, unknown>
/** One caller of a {@link Fixture}. */
export type Case = ConformanceCase<unknown>
