import { expect, test } from 'vitest'
import { z } from 'zod'
import { type AnyModule, checkDuration, checkModule, type DelegationModule, firstMapped } from '../src/module.ts'

function module(changes: Readonly<Record<string, unknown>> = {}): DelegationModule<{ target: string }, string> {
  return {
    type: 'fake',
    request: z.object({ target: z.string() }),
    reuse: 'user',
    target: ({ target }) => target,
    principal: (session) => session.subject,
    issue: async () => ({ value: 'x', expiresAt: new Date() }),
    ...changes,
  }
}

test('takes a module, with and without what is optional', () => {
  checkModule(module(), 'm')
  const all = { maxAge: 1, deadline: 2 ** 31 - 1, maxConcurrent: 1, shared: true, linked: () => false }
  checkModule(module({ ...all, check: async () => {}, dispose: async () => {} }), 'm')
  checkModule(module({ maxAge: undefined, check: undefined, shared: undefined }), 'm')
})

const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  type: [undefined, '', 'Fake', 'a b', '-a', 'a\n', 'a'.repeat(65), 7],
  request: [undefined, null, {}, { '~standard': {} }, (x: unknown) => x],
  reuse: [undefined, 'always', true],
  target: [undefined, 'billing'],
  principal: [undefined, null],
  issue: [undefined, {}],
  linked: [null, true],
  check: ['x'],
  dispose: [1],
  shared: [null, 'yes', 1],
  maxAge: [null, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '60000'],
  deadline: [0, '1'],
  maxConcurrent: [null, 0, 1.5, Number.POSITIVE_INFINITY, '8'],
}

for (const [member, values] of Object.entries(WRONG))
  test(`refuses a module with a wrong ${member}, naming it`, () => {
    for (const value of values)
      expect(() => checkModule(module({ [member]: value }), 'modules.m')).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          message: expect.stringMatching(new RegExp(`^"modules\\.m\\.${member}" must be `)),
        }),
      )
  })

test('refuses what is no module', () => {
  for (const value of [null, undefined, 'kerberos', () => module()])
    expect(() => checkModule(value as unknown as AnyModule, 'modules.m')).toThrow(
      new TypeError('"modules.m" must be a module'),
    )
})

test('a duration is a number of milliseconds that a timer can keep', () => {
  for (const value of [1, 1.5, 2 ** 31 - 1]) checkDuration(value, 'deadline')
  for (const value of [0, -1, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY, '5', null, undefined, 5n])
    expect(() => checkDuration(value, 'deadline')).toThrow(/^"deadline" must be a number of milliseconds/)
})

test('a list keeps its modules in order, and cannot be changed', () => {
  const [one, two, three] = [module(), module(), module()]
  const chain = firstMapped(one, two, three)
  expect(chain.firstMapped).toEqual([one, two, three])
  expect(chain.firstMapped[1]).toBe(two)
  expect(() => (chain.firstMapped as unknown as AnyModule[]).push(one)).toThrow(TypeError)
  expect(() => Object.assign(chain, { firstMapped: [] })).toThrow(TypeError)
})

test('a list holds two modules or more, and no list', () => {
  const few = firstMapped as (...modules: readonly unknown[]) => unknown
  expect(() => few()).toThrow(TypeError)
  expect(() => few(module())).toThrow('two modules or more')
  expect(() => few(module(), firstMapped(module(), module()))).toThrow('"firstMapped[1].type"')
  expect(() => few(module(), undefined)).toThrow('"firstMapped[1]" must be a module')
  expect(() => few(module(), module({ reuse: 'x' }))).toThrow('"firstMapped[1].reuse"')
})
