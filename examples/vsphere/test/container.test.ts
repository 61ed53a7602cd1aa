import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const example = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(example, path), 'utf8')

test('the container has what the server imports, in the versions of the example', () => {
  const container = read('container/Containerfile')
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const sources = readdirSync(join(example, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/^(?:story\/|main\.ts$)/.test(path))
    .map((path) => read(join('src', path)))
  const imported = new Set(
    sources.flatMap((text) => [...text.matchAll(/ from '((?:@[^/']+\/)?[^./'][^/']*)/g)].map(([, name = '']) => name)),
  )
  for (const name of imported) {
    if (name.startsWith('node:')) continue
    const needed = name.startsWith('@mcp-delegation/')
      ? name.slice('@mcp-delegation/'.length)
      : `${name}@${dependencies[name]}`
    expect(container, name).toContain(needed)
  }
  expect(imported).toContain('@mcp-delegation/vault')
  expect(imported).not.toContain('@mcp-delegation/labs')
})

test('the settings in the recipe are those of the server', async () => {
  const { readSettings } = await import('../src/settings.ts')
  const lines = read('container/compose.yaml').matchAll(/^ {6}([A-Z_]+): (\S+)$/gm)
  const env = Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]))
  expect(Object.keys(env)).toContain('AUDIT_CHECKPOINT_FILE')
  // What is mounted there is not here.
  const { VCENTER_CA_FILE: _, VAULT_CACERT: __, ...rest } = env
  expect(readSettings(rest).resource.href).toBe('https://vsphere-mcp.example.com/mcp')
})

test('the page has every setting', () => {
  const page = read('README.md')
  const names = [...read('src/settings.ts').matchAll(/'((?:MCP|OIDC|VCENTER|VAULT|AUDIT)_[A-Z_]+[A-Z])'/g)]
  const missing = names.map(([, name = '']) => name).filter((name) => !page.includes(`\`${name}\``))
  expect([...new Set(missing)]).toEqual([])
  expect(names.length).toBeGreaterThan(20)
})
