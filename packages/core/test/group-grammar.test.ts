import { describe, expect, test } from 'vitest'
import { groupGrammar } from '../src/group-grammar.ts'

const cloud = groupGrammar({
  rules: [
    { pattern: 'CS_ROOT_ADMIN', level: 'ADMIN' },
    { pattern: 'CS_ROOT_READONLY', level: 'READONLY' },
    { pattern: 'CS_{domain}_ADMIN', area: ['{domain}'], level: 'ADMIN' },
    { pattern: 'CS_{domain}_READONLY', area: ['{domain}'], level: 'READONLY' },
    { pattern: 'CS_{domain}_PRJ_{key}_USER', area: ['{domain}', '{key}'], level: 'USER' },
  ],
  reserved: ['ROOT', 'PRJ'],
})
const UNKNOWN = { ignored: 'it follows no rule' }

describe('groupGrammar', () => {
  test('reads constant names, domains and projects', () => {
    expect(cloud.read('CS_ROOT_ADMIN')).toEqual({ grant: { level: 'ADMIN', area: [] } })
    expect(cloud.read('CS_SALES_ADMIN')).toEqual({ grant: { level: 'ADMIN', area: ['SALES'] } })
    expect(cloud.read('CS_SALES_PRJ_X1_USER')).toEqual({ grant: { level: 'USER', area: ['SALES', 'X1'] } })
    expect(cloud.rules.map(({ pattern }) => pattern)).toContain('CS_{domain}_ADMIN')
  })

  test.each([
    '',
    'CS_',
    'CS__ADMIN',
    'CS_SALES_ADMIN ',
    ' CS_SALES_ADMIN',
    'xCS_SALES_ADMIN',
    'CS_SALES_ADMINS',
    'CS_SALES_ADMIN\n',
    'cs_SALES_ADMIN',
    'CS_SALES_admin',
    'CS_SA LES_ADMIN',
    'CS_SA/LES_ADMIN',
    'CS_SÄLES_ADMIN',
    'CS_A_B_ADMIN',
    'CS_SALES_PRJ__USER',
    'CS_SALES_USER',
    '__proto__',
    'constructor',
  ])('ignores %j', (name) => {
    expect(cloud.read(name)).toEqual(UNKNOWN)
  })

  test.each(['CS_ROOT_USER', 'CS_PRJ_ADMIN', 'CS_ROOT_PRJ_X_USER', 'CS_SALES_PRJ_ROOT_USER', 'CS_SALES_PRJ_PRJ_USER'])(
    'takes no reserved word for a name: %s',
    (name) => {
      expect(cloud.read(name)).toEqual(UNKNOWN)
    },
  )

  test('never merges two names', () => {
    const areas = ['sales', 'SALES', 'Sales', 'SALE5'].map((name) => cloud.read(`CS_${name}_ADMIN`).grant?.area)
    expect(areas).toEqual([['sales'], ['SALES'], ['Sales'], ['SALE5']])
  })

  test('what is no text, or too long, is ignored', () => {
    expect(cloud.read(7 as never)).toEqual(UNKNOWN)
    expect(cloud.read(`CS_${'A'.repeat(1015)}_ADMIN`).grant?.area[0]).toHaveLength(1015)
    expect(cloud.read(`CS_${'A'.repeat(1016)}_ADMIN`)).toEqual({ ignored: 'it is longer than 1024 characters' })
  })

  test('an earlier rule counts, also where a later one grants more', () => {
    const grammar = groupGrammar({
      rules: [
        { pattern: 'G_{team}', area: ['{team}'], level: 'low' },
        { pattern: 'G_A', level: 'high' },
      ],
    })
    expect(grammar.read('G_A')).toEqual({ grant: { level: 'low', area: ['A'] } })
  })

  const loose = groupGrammar({
    rules: [
      { pattern: '{domain}_PRJ_{key}', area: ['{domain}', '{key}'], level: 'user' },
      { pattern: 'A_PRJ_B_PRJ_C', level: 'admin' },
      { pattern: '{domain}', area: ['{domain}'], level: 'admin' },
    ],
    names: { domain: 'A-Z_', key: 'A-Z_' },
    reserved: ['X'],
  })

  test('a name that can be read in two ways is ignored, whatever later rules say', () => {
    expect(loose.read('A_PRJ_B')).toEqual({ grant: { level: 'user', area: ['A', 'B'] } })
    expect(loose.read('A_B_PRJ_C_D')).toEqual({ grant: { level: 'user', area: ['A_B', 'C_D'] } })
    expect(loose.read('A_PRJ_B_PRJ_C')).toEqual({ ignored: 'it can be read in two ways by {domain}_PRJ_{key}' })
    expect(loose.read('PRJ_A')).toEqual({ grant: { level: 'admin', area: ['PRJ_A'] } })
  })

  test('a reading with a reserved word is none, so that the other one is clear', () => {
    expect(loose.read('X_PRJ_B_PRJ_C')).toEqual({ grant: { level: 'user', area: ['X_PRJ_B', 'C'] } })
    expect(loose.read('A_PRJ_B_PRJ_X')).toEqual({ grant: { level: 'user', area: ['A', 'B_PRJ_X'] } })
    expect(loose.read('X_PRJ_X')).toEqual({ grant: { level: 'admin', area: ['X_PRJ_X'] } })
  })

  test('a long name with very many readings is answered at once', () => {
    const grammar = groupGrammar({
      rules: [{ pattern: '{a}_{b}_{c}_{d}', area: ['{a}', '{b}', '{c}', '{d}'], level: 'user' }],
      names: { a: '_', b: '_', c: '_', d: '_' },
      reserved: ['_', '__', '___'],
    })
    expect(grammar.read('_'.repeat(1024)).ignored).toMatch(/two ways/)
    expect(grammar.read(`${'_'.repeat(1023)}!`)).toEqual(UNKNOWN)
    // Four times four underscores, and three between them: the shortest that has no reserved word.
    expect(grammar.read('_'.repeat(19)).grant?.area).toEqual(['____', '____', '____', '____'])
    expect(grammar.read('_'.repeat(18))).toEqual(UNKNOWN)
  })

  test('a constant of an area that looks like a name of a placeholder stays what it is', () => {
    const grammar = groupGrammar({
      rules: [{ pattern: 'G_{x}', area: ['x', '{x}', '(x)', '$x'], level: 'user' }],
      names: { x: 'A-C-' },
    })
    expect(grammar.read('G_A-B').grant?.area).toEqual(['x', 'A-B', '(x)', '$x'])
    expect(grammar.read('G_D')).toEqual(UNKNOWN)
  })

  test('what it hands out is frozen, and a copy', () => {
    const area = ['{x}']
    const grammar = groupGrammar({ rules: [{ pattern: 'G_{x}', area, level: 'user' }] })
    area[0] = 'everything'
    const { grant } = grammar.read('G_A')
    expect(grant?.area).toEqual(['A'])
    for (const value of [grammar, grammar.rules, grammar.rules[0], grammar.rules[0]?.area, grant?.area])
      expect(Object.isFrozen(value)).toBe(true)
  })
})

describe('groupGrammar refuses', () => {
  const rule = { pattern: 'G_{x}', area: ['{x}'], level: 'user' }
  test.each<[string, unknown]>([
    ['"options"', undefined],
    ['"options" has no member rule', { rule: [rule] }],
    ['"rules"', {}],
    ['"rules"', { rules: [] }],
    ['"rules[0]" must', { rules: [null] }],
    ['"rules[0]" has no member scope', { rules: [{ ...rule, scope: [] }] }],
    ['"rules[0].level"', { rules: [{ ...rule, level: 1 }] }],
    ['"rules[0].pattern"', { rules: [{ ...rule, pattern: /G/ }] }],
    ['"rules[0].pattern"', { rules: [{ ...rule, pattern: '' }] }],
    ['"rules[0].pattern" must have its placeholders', { rules: [{ ...rule, pattern: 'G_{x' }] }],
    ['"rules[0].pattern" must have its placeholders', { rules: [{ ...rule, pattern: 'G_x}' }] }],
    ['"rules[0].pattern" must have its placeholders', { rules: [{ ...rule, pattern: 'G_{{x}}' }] }],
    ['"rules[0].pattern" must name', { rules: [{ ...rule, pattern: 'G_{}' }] }],
    ['"rules[0].pattern" must name', { rules: [{ ...rule, pattern: 'G_{a b}' }] }],
    ['"rules[0].pattern" must have at most', { rules: [{ ...rule, pattern: '{a}_{b}_{c}_{d}_{e}' }] }],
    ['"rules[0].pattern" must not have a placeholder twice', { rules: [{ ...rule, pattern: '{x}_{x}' }] }],
    ['"rules[0].pattern" must have constant text', { rules: [{ ...rule, pattern: '{x}{y}' }] }],
    ['"rules[0].area" must be a list', { rules: [{ ...rule, area: '{x}' }] }],
    ['"rules[0].area" must be a list', { rules: [{ ...rule, area: Array(17).fill('{x}') }] }],
    ['"rules[0].area" must hold the placeholder {x}', { rules: [{ ...rule, area: undefined }] }],
    ['"rules[0].area" must hold the placeholder {x}', { rules: [{ ...rule, area: ['x'] }] }],
    ['"rules[0].area" must hold constant', { rules: [{ ...rule, area: ['{x}', '{y}'] }] }],
    ['"rules[0].area" must hold constant', { rules: [{ ...rule, area: ['all of {x}'] }] }],
    ['"rules[1].pattern" has a rule already', { rules: [rule, { ...rule, level: 'admin' }] }],
    ['"names"', { rules: [rule], names: [] }],
    ['"names.x" must be characters', { rules: [rule], names: { x: '' } }],
    ['"names.x" must be characters', { rules: [rule], names: { x: /A/ } }],
    ['"names.x" must be characters', { rules: [rule], names: { x: 'A-Z\u{1F600}' } }],
    ['"names.x" must have its ranges', { rules: [rule], names: { x: 'Z-A' } }],
    ['"names.y" is no placeholder', { rules: [rule], names: { y: 'A-Z' } }],
    ['"reserved"', { rules: [rule], reserved: 'ROOT' }],
    ['"reserved"', { rules: [rule], reserved: [''] }],
    ['"reserved" must not name anything twice', { rules: [rule], reserved: ['A', 'A'] }],
  ])('%s in %j', (message, options) => {
    const make = (): unknown => groupGrammar(options as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
