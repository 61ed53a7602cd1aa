import { type FakeClock, fakeClock } from '@mcp-delegation/core/testing'
import { expect } from 'vitest'
import type { VaultEnvelope } from '../../src/envelope.ts'
import type { IdentityParts, SourceContext } from '../../src/sources/source.ts'
import { VaultError } from '../../src/vault-error.ts'
import { envelope, refusal } from '../stand-in.ts'

/** What a source asked for. */
export interface Asked {
  readonly how: 'read' | 'make'
  readonly path: string
  readonly query?: Readonly<Record<string, string>> | undefined
  readonly body?: Readonly<Record<string, unknown>> | undefined
}

/** What is answered at a path: an envelope, or the status of a refusal; one after the other where it is a list. */
export type Answer = Partial<VaultEnvelope> | number | VaultError

/** Alice, with a subject that is not her name. */
export const ALICE: IdentityParts = { principal: 'alice', issuer: 'https://issuer.example', subject: '7-alice' }

/** A context whose server answers by a table, and 403 elsewhere. */
export function contextOf(
  answers: Readonly<Record<string, Answer | readonly Answer[] | ((asked: Asked) => Answer)>>,
  who: IdentityParts = ALICE,
): SourceContext & { readonly asked: readonly Asked[]; readonly clock: FakeClock } {
  const asked: Asked[] = []
  const clock = fakeClock()
  const counts = new Map<string, number>()
  const answer = async (request: Asked): Promise<VaultEnvelope> => {
    asked.push(request)
    const count = counts.get(request.path) ?? 0
    counts.set(request.path, count + 1)
    const given = answers[request.path] ?? 403
    const chosen =
      typeof given === 'function' ? given(request) : Array.isArray(given) ? (given[count] ?? 403) : (given as Answer)
    if (chosen instanceof VaultError) throw chosen
    if (typeof chosen === 'number') throw refusal(chosen)
    return envelope({ sentAt: clock.now(), ...chosen })
  }
  return {
    who,
    clock,
    asked,
    read: (path, query) => answer({ how: 'read', path, ...(query === undefined ? {} : { query }) }),
    make: (path, body) => answer({ how: 'make', path, ...(body === undefined ? {} : { body }) }),
  }
}

/** A 404 that comes with an envelope: of something that was deleted. */
export function deleted(): VaultError {
  const data = { data: null, metadata: { version: 2, deletion_time: '2026-01-01T00:00:00Z', destroyed: false } }
  return new VaultError('status', '404', { status: 404, uncertain: false, envelope: envelope({ data }) })
}

/** A 404 with a reason: no engine is mounted there, or the namespace is gone. */
export function unhandled(): VaultError {
  return new VaultError('status', '404: no handler', { status: 404, uncertain: false, reasons: 1 })
}

/** What an error of a code looks like. */
export function failing(code: string, message?: RegExp): unknown {
  return expect.objectContaining({
    code,
    ...(message === undefined ? {} : { message: expect.stringMatching(message) }),
  })
}
