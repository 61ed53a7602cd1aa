import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path))
const imports = (path: string): string[] =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/(?:from|import|import\() ?'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  )
const packages = readdirSync(join(root, 'packages'))
const examples = readdirSync(join(root, 'examples'))

/** The layers of core, lowest first. A file imports its own layer and those below; the unnamed are the third. */
const LAYERS = [
  ['errors', 'secret', 'clock', 'log', 'text', 'canonical-json'],
  ['session', 'kinds', 'secret-source', 'loan'],
  ['module'],
  [],
  ['registry'],
]
const TOP = LAYERS.length
const layerOf = (path: string): number => {
  if (/^packages\/core\/src\/(?:index\.ts|\w+\/)/.test(path)) return TOP
  const name = path.replace(/^.*\/|\.ts$/g, '')
  const layer = LAYERS.findIndex((names) => names.includes(name))
  return layer === -1 ? 3 : layer
}

/** The part of core that stands on top of all layers: `oidc`, `testing`, or the index. */
const partOf = (path: string): string | undefined => /^packages\/core\/src\/(\w+)\//.exec(path)?.[1]

test('the layers of core import downwards only', () => {
  const wrong: string[] = []
  for (const path of sources('packages/core/src'))
    for (const name of imports(path).filter((specifier) => specifier.startsWith('.'))) {
      const imported = join(dirname(path), name)
      const upwards = layerOf(imported) > layerOf(path)
      const sideways = layerOf(imported) === TOP && partOf(imported) !== partOf(path)
      if (upwards || sideways) wrong.push(`${path} imports ${imported}`)
    }
  expect(wrong).toEqual([])
})

test('nothing imports an index', () => {
  const wrong = packages.flatMap((name) =>
    sources(`packages/${name}/src`).filter((path) =>
      imports(path).some((specifier) => /(?:^\.*|\/index\.[jt]s)$/.test(specifier)),
    ),
  )
  expect(wrong).toEqual([])
})

test('packages import core, and never each other nor the labs', () => {
  const wrong: string[] = []
  for (const name of packages)
    for (const path of sources(`packages/${name}/src`))
      for (const specifier of imports(path)) {
        const own = !specifier.startsWith('.') || join(dirname(path), specifier).startsWith(`packages/${name}/src/`)
        const other =
          specifier.startsWith('@mcp-delegation/') &&
          (name === 'core' || !/^@mcp-delegation\/core(\/(?:audit|oidc))?$/.test(specifier))
        if (!own || other) wrong.push(`${path} imports ${specifier}`)
      }
  expect(wrong).toEqual([])
})

/** What may be imported of the package in `folder`, by its manifest. */
const subpathsOf = (folder: string): string[] => {
  const { name, exports } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    name: string
    exports: object
  }
  return Object.keys(exports).map((subpath) => `${name}${subpath.slice(1)}`)
}

test('examples import public package names and the labs, and nothing of each other', () => {
  const subpaths = [...packages.map((name) => `packages/${name}`), 'labs'].flatMap(subpathsOf)
  const wrong: string[] = []
  for (const name of examples)
    for (const path of sources(`examples/${name}/src`))
      for (const specifier of imports(path)) {
        const inside = join(dirname(path), specifier).startsWith(`examples/${name}/src/`)
        const isPublic = !specifier.startsWith('@mcp-delegation/') || subpaths.includes(specifier)
        if (specifier.startsWith('.') ? !inside : !isPublic) wrong.push(`${path} imports ${specifier}`)
      }
  expect(wrong).toEqual([])
})

test('the labs import nothing of the packages', () => {
  const wrong = sources('labs/src').flatMap((path) =>
    imports(path)
      .filter((specifier) =>
        specifier.startsWith('.')
          ? !join(dirname(path), specifier).startsWith('labs/src/')
          : specifier.startsWith('@mcp-delegation/'),
      )
      .map((specifier) => `${path} imports ${specifier}`),
  )
  expect(wrong).toEqual([])
})
