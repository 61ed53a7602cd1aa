import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Decision, decide } from '../src/policy.ts'

function ask(question: () => unknown): { decision: Decision; errors: unknown[] } {
  const errors: unknown[] = []
  const decision = decide(question as () => Decision, (error) => errors.push(error))
  return { decision, errors }
}

test('passes a permission and a refusal on', () => {
  expect(ask(() => ({ allowed: true }))).toEqual({ decision: { allowed: true }, errors: [] })
  const refusal = { allowed: false, reason: 'not in office', scopes: ['invoices'] }
  expect(ask(() => refusal)).toEqual({ decision: refusal, errors: [] })
})

test('a policy that throws refuses, and the operator learns why', () => {
  const reason = new Error('database of rules is gone')
  const { decision, errors } = ask(() => {
    throw reason
  })
  expect(decision).toEqual({ allowed: false, reason: 'the policy failed' })
  expect(errors).toEqual([reason])
})

const MALFORMED: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  null: null,
  true: true,
  'a number': 1,
  'a text': 'allowed',
  'an empty object': {},
  'a truthy answer': { allowed: 1 },
  'a text in place of true': { allowed: 'true' },
  'a list': [{ allowed: true }],
  'a promise of a permission': Promise.resolve({ allowed: true }),
}

for (const [what, answer] of Object.entries(MALFORMED))
  test(`${what} is a refusal`, () => {
    const { decision, errors } = ask(() => answer)
    expect(decision).toEqual({ allowed: false, reason: 'the policy failed' })
    expect(errors).toEqual([expect.any(TypeError)])
  })

test('an asynchronous policy that fails refuses, and is no unhandled rejection', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): number => unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    expect(ask(async () => Promise.reject(new Error('late'))).decision.allowed).toBe(false)
    await setImmediate()
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
})
