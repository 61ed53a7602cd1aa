import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8')
const guide = read('docs/writing-a-module.md')
const snippets = [...guide.matchAll(/^<!-- (\S+) -->\n```ts\n([\s\S]*?)^```$/gm)]

it('shows files that are tested, in full', () => {
  expect(snippets.map(([, path]) => path)).toEqual([
    'packages/core/test/testing/example/depot-keys.ts',
    'packages/core/test/testing/example/depot-keys.test.ts',
  ])
  expect(guide.match(/^```ts$/gm)).toHaveLength(snippets.length)
})

it.each(snippets.map(([, path = '', code = '']) => [path, code] as const))('shows %s as it is', (path, code) => {
  expect(code).toBe(read(path))
})
