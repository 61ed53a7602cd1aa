import type { GroupGrammarOptions } from '../../src/group-grammar.ts'

/** What a name means, and the index of the rule that said so. */
export interface Trial {
  readonly reading: 'none' | 'ambiguous' | { readonly level: string; readonly area: readonly string[] }
  readonly rule: number
}

/** Reads a name by trying every way to split it: what `groupGrammar` must answer. */
export function readByTrial({ rules, names = {}, reserved = [] }: GroupGrammarOptions<string>, name: string): Trial {
  for (const [rule, { pattern, level, area = [] }] of rules.entries()) {
    const readings = splits(pattern, name).filter((values) =>
      Object.entries(values).every(
        ([placeholder, value]) => consistsOf(value, names[placeholder]) && !reserved.includes(value),
      ),
    )
    if (readings.length > 1) return { reading: 'ambiguous', rule }
    for (const values of readings)
      return {
        reading: {
          level,
          area: area.map((part) => (part.startsWith('{') ? (values[part.replace(/[{}]/g, '')] ?? '') : part)),
        },
        rule,
      }
  }
  return { reading: 'none', rule: -1 }
}

/** Every assignment of texts to placeholders that makes the pattern the name. */
function splits(pattern: string, name: string): Record<string, string>[] {
  if (pattern === '') return name === '' ? [{}] : []
  const found = /^\{(\w+)\}/.exec(pattern)
  if (found === null) return name[0] === pattern[0] ? splits(pattern.slice(1), name.slice(1)) : []
  const [whole, placeholder = ''] = found
  const all: Record<string, string>[] = []
  for (let length = 1; length <= name.length; length++)
    for (const rest of splits(pattern.slice(whole.length), name.slice(length)))
      all.push({ [placeholder]: name.slice(0, length), ...rest })
  return all
}

function consistsOf(value: string, alphabet = 'A-Za-z0-9'): boolean {
  return new RegExp(`^[${alphabet}]+$`).test(value)
}
