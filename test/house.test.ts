import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
/** What git tracks, or would. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((path) => existsSync(join(root, path)))
const pages = files.filter((path) => path.endsWith('.md') && !path.startsWith('.changeset/'))
const sources = files.filter((path) =>
  /^(?:packages\/[^/]+\/src|examples\/[^/]+\/src|scripts)\/.*\.m?[tj]s$/.test(path),
)

describe('packages', () => {
  const packages = readdirSync(join(root, 'packages'))
  test.each(packages)('%s has a README that names it, and the licence', (name) => {
    const published = (JSON.parse(read(`packages/${name}/package.json`)) as { name: string }).name
    expect(read(`packages/${name}/README.md`)).toContain(`# ${published}\n`)
    expect(read(`packages/${name}/LICENSE`)).toBe(read('LICENSE'))
  })
  test('the README lists every one of them', () => {
    const readme = read('README.md')
    expect(packages.filter((name) => !readme.includes(`(packages/${name})`))).toEqual([])
  })
  test('examples have a README', () => {
    expect(readdirSync(join(root, 'examples')).filter((name) => !files.includes(`examples/${name}/README.md`))).toEqual(
      [],
    )
  })
})

describe('the lock file', () => {
  test('is complete for all platforms and names no host', () => {
    expect(execFileSync('node', ['scripts/complete-lock.mjs', '--check'], { cwd: root, encoding: 'utf8' })).toContain(
      'complete',
    )
  })
})

describe('files', () => {
  test('name no package registry', () => {
    const host = new RegExp(['registry', '(npmjs|yarnpkg|npmmirror)', '(org|com)'].join('\\.'))
    expect(files.filter((path) => host.test(read(path)))).toEqual([])
  })
  test('hold no unfinished work and no focused test', () => {
    const unfinished = /\b(?:TODO|FIXME)\b/
    const focused = /\b(?:test|it|describe)\.only\(/
    const wrong = files.filter((path) => /\.m?ts$|\.mjs$|\.md$/.test(path) && path !== 'test/house.test.ts')
    expect(wrong.filter((path) => unfinished.test(read(path)) || focused.test(read(path)))).toEqual([])
  })
})

describe('sources', () => {
  test('are silent: the library has no console', () => {
    const library = sources.filter((path) => path.startsWith('packages/'))
    expect(library.filter((path) => /\bconsole\.\w+\(/.test(read(path)))).toEqual([])
  })
  test('keep their own time limits: Node 20 collects those of AbortSignal.any before they fire', () => {
    const library = sources.filter((path) => path.startsWith('packages/'))
    expect(library.filter((path) => /\bAbortSignal\.(?:any|timeout)\(/.test(read(path)))).toEqual([])
  })
  test('decide nothing by NODE_ENV', () => {
    expect(sources.filter((path) => read(path).includes('NODE_ENV'))).toEqual([])
  })
  test('name things by what they are', () => {
    const declared = /\b(?:class|interface|type|function|const|let)\s+(\w+)/g
    const vague = /(?:Service|Manager|Base|Helper|Util)s?$|^I[A-Z][a-z]/
    const wrong = sources.flatMap((path) => [
      ...(/(?:^|-)(?:service|manager|base|helper|util)s?\.ts$/.test(basename(path)) ? [path] : []),
      ...[...read(path).matchAll(declared)].map(([, name = '']) => name).filter((name) => vague.test(name)),
    ])
    expect(wrong).toEqual([])
  })
})

describe('pages', () => {
  test('link to what exists', () => {
    const dead = pages.flatMap((path) =>
      [
        ...read(path)
          .replace(/```.*?```/gs, '')
          .matchAll(/\]\(([^)\s]+)\)/g),
      ]
        .map(([, target = '']) => target)
        .filter((target) => !/^\w+:/.test(target) && !isThere(path, target))
        .map((target) => `${path}: ${target}`),
    )
    expect(dead).toEqual([])
  })
  test('name npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = pages.flatMap((path) => [...read(path).matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = '']) => name))
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([])
  })
})

/** Whether a relative link from `page` leads to a file, and its fragment to a heading of it. */
function isThere(page: string, target: string): boolean {
  const [path = '', fragment] = target.split('#')
  const linked = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(root, linked))) return false
  if (fragment === undefined || !linked.endsWith('.md')) return true
  const headings = [...read(linked).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  return headings.some((heading) => slug(heading) === fragment)
}

/** The anchor that a heading gets where Markdown is shown. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
