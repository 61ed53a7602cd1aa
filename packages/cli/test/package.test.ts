import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { record, run, scratch, write } from './support.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

test('what is published runs where it is installed', async () => {
  const folder = scratch()
  const modules = join(folder, 'node_modules')
  for (const name of ['cli', 'core']) {
    const packed = await run(join(root, 'packages', name), 'npm', ['pack', '--silent', '--pack-destination', folder])
    expect(packed.status, packed.stderr).toBe(0)
    const target = join(modules, name === 'cli' ? 'mcp-delegation' : '@mcp-delegation/core')
    mkdirSync(target, { recursive: true })
    await run(folder, 'tar', ['-xzf', packed.stdout.trim(), '-C', target, '--strip-components=1'])
  }
  const { dependencies } = JSON.parse(readFileSync(join(modules, '@mcp-delegation/core/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(modules, name, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  const { bin } = JSON.parse(readFileSync(join(modules, 'mcp-delegation/package.json'), 'utf8')) as {
    bin: Record<string, string>
  }
  // As npm installs a program.
  const program = join(modules, '.bin/mcp-delegation')
  mkdirSync(join(modules, '.bin'))
  symlinkSync(join(modules, 'mcp-delegation', bin['mcp-delegation'] ?? ''), program)
  chmodSync(program, 0o755)
  await write(join(folder, 'audit.jsonl'), [record(1)])
  const { status, stdout, stderr } = await run(folder, program, ['audit', 'tail', 'audit.jsonl'])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('tool=tool-1')
})
