import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgreSql, postgresql } from '../../src/postgresql/index.ts'
import { isAvailable, missingPackages } from '../../src/required.ts'

const lacking = missingPackages(fileURLToPath(new URL('../../vault/debian.json', import.meta.url)))

/** What `npm test` builds before it runs the tests. */
const LAB = new URL('../../dist/postgresql/index.js', import.meta.url)
const SCRIPT = `
  import { readFileSync } from 'node:fs'
  import { postgresql } from ${JSON.stringify(LAB.href)}
  const db = await postgresql()
  const [pid] = readFileSync(db.folder + '/data/postmaster.pid', 'utf8').split('\\n')
  const children = readFileSync('/proc/' + pid + '/task/' + pid + '/children', 'utf8').trim().split(' ')
  db.pause()
  process.stdout.write(JSON.stringify([db.folder, ...[pid, ...children].map(Number)]))
  setInterval(() => {}, 1_000)
`

/** Whether there is such a process, and not just its exit status. */
function isThere(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

describe.runIf(isAvailable('PostgreSQL', lacking))('a PostgreSQL of its own', () => {
  let db: PostgreSql
  beforeAll(async () => {
    db = await postgresql()
  }, 60_000)
  afterAll(() => db.dispose())

  test('runs statements as the superuser', async () => {
    expect(await db.query('SELECT current_user AS who, $1::int + 1 AS sum', [41])).toEqual([
      { who: 'postgres', sum: 42 },
    ])
    await expect(db.query('SELECT nonsense')).rejects.toMatchObject({ code: '42703' })
  })

  test('lets in who knows the password, and nobody else', async () => {
    const { administrator } = db
    expect(await db.accepts(administrator)).toBe(true)
    expect(await db.accepts({ ...administrator, password: 'wrong' })).toBe(false)
    expect(await db.accepts({ username: 'nobody_there', password: 'x' })).toBe(false)
    const [hash] = await db.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [administrator.username])
    expect(hash).toEqual({ rolpassword: expect.stringMatching(/^SCRAM-SHA-256\$/) })
  })

  test('has an administrator who makes and drops roles, and is no superuser', async () => {
    const client = await db.connect(db.administrator)
    await client.query(`CREATE ROLE guest LOGIN PASSWORD 'secret'`)
    expect(await db.accepts({ username: 'guest', password: 'secret' })).toBe(true)
    await client.query('DROP ROLE guest')
    expect(await db.accepts({ username: 'guest', password: 'secret' })).toBe(false)
    await expect(client.query('SELECT rolpassword FROM pg_authid')).rejects.toMatchObject({ code: '42501' })
    await client.end()
  })

  test('keeps its data from others', () => {
    expect(lstatSync(join(db.folder, 'data')).mode & 0o777).toBe(0o700)
    expect(lstatSync(join(db.folder, 'passwords.json')).mode & 0o777).toBe(0o600)
  })

  test('hangs and goes on, connections that are open included', async () => {
    const client = await db.connect(db.administrator)
    db.pause()
    const answer = client.query('SELECT 1 AS one').then(({ rows }) => rows)
    const fresh = db.query('SELECT 2 AS two')
    expect(await Promise.race([answer, fresh, delay(200, 'hangs')])).toBe('hangs')
    db.resume()
    expect(await answer).toEqual([{ one: 1 }])
    expect(await fresh).toEqual([{ two: 2 }])
    await client.end()
  })

  test.each(['kill', 'halt'] as const)(
    'after %s it refuses connections, and has its data when it is back',
    async (end) => {
      await db.query(`CREATE TABLE ${end}ed (n int)`)
      await db.query(`INSERT INTO ${end}ed VALUES (7)`)
      const client = await db.connect(db.administrator)
      const busy = expect(client.query('SELECT count(*) FROM generate_series(1, 1e12)')).rejects.toThrow()
      const { port } = db
      await db[end]()
      await busy
      await expect(db.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await db.restart()
      expect(db.port).toBe(port)
      expect(await db.query(`SELECT n FROM ${end}ed`)).toEqual([{ n: 7 }])
    },
  )

  test('sees nothing of another one, and leaves nothing behind', async () => {
    const other = await postgresql()
    await other.query('CREATE ROLE stranger LOGIN')
    expect(await db.query(`SELECT 1 FROM pg_roles WHERE rolname = 'stranger'`)).toEqual([])
    const client = await other.connect(other.administrator)
    other.pause()
    await other.dispose()
    await expect(client.query('SELECT 1')).rejects.toThrow()
    expect(existsSync(other.folder)).toBe(false)
    await expect(other.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('ends with the process that started it, also when both are stopped dead', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const [folder, ...pids] = JSON.parse(line.toString()) as [string, ...number[]]
    try {
      expect(pids.filter(isThere).length).toBeGreaterThan(1)
      child.kill('SIGKILL')
      await expect.poll(() => pids.filter(isThere), { timeout: 4_000 }).toEqual([])
    } finally {
      child.kill('SIGKILL')
      rmSync(folder, { recursive: true })
    }
  })
})
