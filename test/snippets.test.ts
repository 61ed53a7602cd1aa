import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'

// What Markdown pages show compiles as a user's project would compile it: against the built packages. A fence `ts run`
// also runs, and prints what the `text` fence after it says. A comment right before a fence says more: `<!-- with … -->`
// holds lines that the page does not show, and `<!-- path.ts -->` names the file that the fence shows in full.

interface Snippet {
  readonly page: string
  /** Page and line, for messages and as the name of a file. */
  readonly name: string
  readonly extension: string
  readonly code: string
  readonly runs: boolean
  readonly output: string | undefined
  /** The file that it shows. */
  readonly file: string | undefined
}

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'dist/snippets')
const FENCE = new RegExp(
  [
    /(?:^<!-- (?:with\n(?<hidden>(?:(?!-->).)*)|(?<file>\S+\.ts) )-->\n+)?/,
    /^```(?<info>(?:ts|js)(?: run)?)\n(?<code>(?:(?!```).)*)^```\n/,
    /(?:\n*```text\n(?<output>(?:(?!```).)*)^```\n)?/,
  ]
    .map(({ source }) => source)
    .join(''),
  'gms',
)

async function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly failed: boolean; readonly output: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: root, timeout: 60_000 })
    return { failed: false, output: stdout + stderr }
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return { failed: true, output: `${stdout}${stderr}` || String(error) }
  }
}

const listed = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'])
const pages = listed.output.trim().split('\n')
const shown = pages.flatMap((page) => snippetsOf(page))
const snippets = shown.filter(({ file }) => file === undefined)
let errors: readonly string[] = []

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { name, extension, code } of snippets) writeFileSync(join(folder, `${name}${extension}`), code)
  const compilerOptions = {
    ...{ composite: false, incremental: false, isolatedDeclarations: false, declaration: false, declarationMap: false },
    ...{ skipLibCheck: true, noUnusedLocals: false, noUnusedParameters: false, moduleDetection: 'force' },
    ...{ allowJs: true, rootDir: '.', outDir: 'out' },
  }
  const files = snippets.map(({ name, extension }) => `${name}${extension}`)
  const project = { extends: '../../tsconfig.base.json', compilerOptions, files }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project))
  const { failed, output } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder, '--pretty', 'false'])
  errors = output.split('\n').filter((line) => line.includes('error TS'))
  if (failed && errors.length === 0) throw new Error(output)
}, 120_000)

describe('snippets compile', () => {
  test.each([...new Set(snippets.map(({ page }) => page))])('%s', (page) => {
    expect(errors.filter((line) => line.includes(`/${fileOf(page)}-`))).toEqual([])
  })
})

describe('snippets that show a file', () => {
  test.each(shown.filter(({ file }) => file !== undefined))('$name is $file', ({ code, file = '' }) => {
    expect(code).toBe(readFileSync(join(root, file), 'utf8'))
  })
})

describe('snippets run', () => {
  test.each(snippets.filter(({ runs }) => runs))('$name', async ({ name, extension, output }) => {
    const ran = await run(process.execPath, [join(folder, 'out', `${name}${extension.replace('ts', 'js')}`)])
    expect(ran).toEqual({ failed: false, output: output ?? '' })
  })
})

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(FENCE)].map(({ index, groups = {} }) => {
    const { hidden = '', info = '', code = '', output, file } = groups
    const line = text.slice(0, index).split('\n').length
    const extension = info.startsWith('ts') ? '.mts' : '.mjs'
    return {
      page,
      name: `${fileOf(page)}-${line}`,
      extension,
      code: hidden + code,
      runs: info.endsWith(' run'),
      output,
      file,
    }
  })
}

function fileOf(page: string): string {
  return page.replaceAll('/', '_')
}
