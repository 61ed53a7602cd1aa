import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DelegationError, isDelegationError } from '../src/errors.ts'
import { type SecretSource, secretReader } from '../src/secret-source.ts'

const OPTION = 'accounts.billing.password'
const VALUE = 'Tr0ub4dor&3'
const { signal } = new AbortController()
const VARIABLE = 'MCP_DELEGATION_TEST_SECRET'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'secret-source-'))
})
afterAll(async () => {
  delete process.env[VARIABLE]
  await rm(directory, { recursive: true })
})

async function privateFile(name: string, content: string | Uint8Array, mode = 0o400): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

async function failure(source: SecretSource): Promise<DelegationError> {
  const error: unknown = await secretReader(
    source,
    OPTION,
  )({ signal }).then(
    () => new Error('was read'),
    (reason: unknown) => reason,
  )
  if (!isDelegationError(error)) throw error
  expect(error.code).toBe('ERR_DELEGATION_UNAVAILABLE')
  expect(error.message).toContain(OPTION)
  expect(inspect(error, { depth: null })).not.toContain(VALUE)
  return error
}

describe('from the environment', () => {
  const read = secretReader({ env: VARIABLE }, OPTION)

  test('is read each time, so that a rotated secret is picked up', async () => {
    process.env[VARIABLE] = VALUE
    expect(await read({ signal })).toBe(VALUE)
    process.env[VARIABLE] = 'rotated'
    expect(await read({ signal })).toBe('rotated')
  })

  test('is unavailable where the variable is missing or empty', async () => {
    delete process.env[VARIABLE]
    await failure({ env: VARIABLE })
    process.env[VARIABLE] = ''
    await failure({ env: VARIABLE })
  })

  test('does not take what an object inherits for a variable', async () => {
    for (const env of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) await failure({ env })
  })
})

describe('from a file', () => {
  test('is read without its last line break', async () => {
    for (const [content, expected] of [
      [VALUE, VALUE],
      [`${VALUE}\n`, VALUE],
      [`${VALUE}\r\n`, VALUE],
      [`${VALUE}\n\n`, `${VALUE}\n`],
      [` ${VALUE} `, ` ${VALUE} `],
      [`\ufeff${VALUE}`, VALUE],
      ['pässwörd', 'pässwörd'],
    ] as const) {
      const file = await privateFile('plain', content, 0o600)
      expect(await secretReader({ file }, OPTION)({ signal })).toBe(expected)
    }
  })

  test('is read again after a rotation, also by renaming or by a symbolic link', async () => {
    const file = await privateFile('rotated', 'one', 0o600)
    const read = secretReader({ file }, OPTION)
    expect(await read({ signal })).toBe('one')
    await rename(await privateFile('next', 'two'), file)
    expect(await read({ signal })).toBe('two')

    const [first, second] = [await privateFile('v1', 'three'), await privateFile('v2', 'four')]
    await symlink(first, join(directory, 'link'))
    const readLink = secretReader({ file: join(directory, 'link') }, OPTION)
    expect(await readLink({ signal })).toBe('three')
    await symlink(second, join(directory, 'link.new'))
    await rename(join(directory, 'link.new'), join(directory, 'link'))
    expect(await readLink({ signal })).toBe('four')
  })

  test('may be read by its owner and its group only', async () => {
    for (const mode of [0o400, 0o600, 0o440, 0o640]) {
      const file = await privateFile(`mode-${mode.toString(8)}`, VALUE, mode)
      expect(await secretReader({ file }, OPTION)({ signal })).toBe(VALUE)
    }
    for (const mode of [0o644, 0o604, 0o404, 0o660, 0o620, 0o602, 0o601, 0o777]) {
      const error = await failure({ file: await privateFile(`mode-${mode.toString(8)}`, VALUE, mode) })
      expect(String(error.cause)).toContain('chmod')
    }
  })

  test('belongs to this user or to root', async ({ skip }) => {
    if (process.getuid?.() !== 0) {
      if (process.env['REQUIRE_REAL'] === '1') throw new Error('needs root, to give a file to another user')
      skip('NOT TESTED: only root can give a file to another user')
    }
    const file = await privateFile('foreign', VALUE)
    await chown(file, 12_345, 12_345)
    expect(String((await failure({ file })).cause)).toContain('another user')
  })

  test('is a regular file, not a directory, a pipe or a device', async () => {
    await mkdir(join(directory, 'folder'), { mode: 0o700 })
    await failure({ file: join(directory, 'folder') })
    const pipe = join(directory, 'pipe')
    execFileSync('mkfifo', ['-m', '600', pipe])
    expect(String((await failure({ file: pipe })).cause)).toContain('regular file')
    await failure({ file: '/dev/zero' })
  })

  test('is there, is not empty, is not vast, and is UTF-8', async () => {
    await failure({ file: join(directory, 'missing') })
    await failure({ file: await privateFile('empty', '') })
    await failure({ file: await privateFile('newline', '\n') })
    await failure({ file: await privateFile('vast', 'x'.repeat(65_537)) })
    await failure({ file: await privateFile('latin1', Buffer.from('pässwörd', 'latin1')) })
    const largest = await privateFile('largest', 'x'.repeat(65_536))
    expect(await secretReader({ file: largest }, OPTION)({ signal })).toHaveLength(65_536)
  })

  test('is read no further than its limit, also where it says that it has no size', async ({ skip }) => {
    if (process.platform !== 'linux') {
      if (process.env['REQUIRE_REAL'] === '1') throw new Error('needs the /proc of Linux')
      skip('NOT TESTED: only Linux has files of /proc, whose size is 0')
    }
    const large = 'x'.repeat(40_000)
    const child = spawn('cat', { env: { ...process.env, LARGE_1: large, LARGE_2: large } })
    try {
      await once(child, 'spawn')
      expect(String((await failure({ file: `/proc/${child.pid}/environ` })).cause)).toContain('larger than 65536')
    } finally {
      child.stdin.end()
      await once(child, 'exit')
    }
    expect(await secretReader({ file: '/proc/self/environ' }, OPTION)({ signal })).toContain('PATH=')
  })

  test('the message keeps the path for the operator', async () => {
    const error = await failure({ file: join(directory, 'missing') })
    expect(error.message).not.toContain(directory)
    expect(String(error.cause)).toContain(directory)
  })
})

describe('from a function', () => {
  test('is asked each time, with the signal', async () => {
    let calls = 0
    const read = secretReader(async (options) => {
      expect(options.signal).toBe(signal)
      return `secret-${++calls}`
    }, OPTION)
    expect([await read({ signal }), await read({ signal })]).toEqual(['secret-1', 'secret-2'])
  })

  test('is unavailable where it rejects, throws, or gives no text', async () => {
    const reason = new Error('vault is sealed')
    expect((await failure(async () => Promise.reject(reason))).cause).toBe(reason)
    expect(
      (
        await failure(() => {
          throw reason
        })
      ).cause,
    ).toBe(reason)
    for (const answer of ['', undefined, null, 7, { password: VALUE }]) await failure(async () => answer as string)
  })

  test('cannot answer that somebody has no identity, which would open a fallback', async () => {
    await failure(async () => Promise.reject(new DelegationError('ERR_DELEGATION_NO_IDENTITY', 'nobody')))
  })

  test('rejects with the reason of an abort, untouched', async () => {
    const controller = new AbortController()
    const reading = secretReader(
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
      OPTION,
    )({ signal: controller.signal })
    const reason = new Error('nobody waits')
    controller.abort(reason)
    await expect(reading).rejects.toBe(reason)
  })
})

describe('after an abort, every source', () => {
  const reason = new Error('nobody waits')

  test('is not asked', async () => {
    process.env[VARIABLE] = VALUE
    const file = await privateFile('aborted', VALUE)
    let calls = 0
    for (const source of [
      { env: VARIABLE },
      { env: 'MCP_DELEGATION_TEST_UNSET' },
      { file },
      async () => `${++calls}`,
    ]) {
      await expect(secretReader(source, OPTION)({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    }
    expect(calls).toBe(0)
  })

  test('rejects with its reason, also where there was a secret, or none', async () => {
    process.env[VARIABLE] = VALUE
    const file = await privateFile('aborted-meanwhile', VALUE)
    for (const source of [{ env: VARIABLE }, { env: 'MCP_DELEGATION_TEST_UNSET' }, { file }, async () => VALUE]) {
      const controller = new AbortController()
      const reading = secretReader(source, OPTION)({ signal: controller.signal })
      controller.abort(reason)
      await expect(reading).rejects.toBe(reason)
    }
  })
})

test('refuses what is no source, naming the option', () => {
  const wrong: readonly unknown[] = [
    undefined,
    null,
    VALUE,
    {},
    { env: '' },
    { env: 'A-B' },
    { env: 'A=B' },
    { env: '1A' },
    { env: 7 },
    { file: '' },
    { file: 'relative/path' },
    { file: './x' },
    { file: '/a\0b' },
    { file: 7 },
    { env: 'A', file: '/a' },
    { value: VALUE },
  ]
  for (const source of wrong)
    expect(() => secretReader(source as SecretSource, OPTION)).toThrow(
      new TypeError(`"${OPTION}" must be { env: 'NAME' }, { file: '/absolute/path' } or a function`),
    )
})
