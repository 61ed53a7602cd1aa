import { isAvailable, missing } from '@mcp-delegation/labs/vault'
import { describe, expect, test } from 'vitest'
import { readSshCertificate } from '../../src/openssh/certificate.ts'
import { ssh } from '../../src/sources/ssh.ts'
import { oddSshCertificate, type SignOptions, signKey, sshCertificate } from '../support/certificates.ts'
import { type Asked, contextOf, failing } from '../support/contexts.ts'

const options = { role: 'users', principals: ['{principal}', 'staff'] }
const PATH = 'ssh/sign/users'

/** An answer with a certificate for the key that was sent. */
const signing =
  (how: SignOptions, change: (line: string) => string = (line) => line) =>
  ({ body }: Asked) => ({ data: { signed_key: change(signKey(String(body?.['public_key']), how)) } })

describe.runIf(isAvailable('ssh-keygen', missing()))('a signed key', () => {
  const good = { principals: 'staff,alice', validity: '-1m:+5m' }

  test('is a certificate of the account for the principals, until it ends', async () => {
    const context = contextOf({ [PATH]: signing(good) })
    const { value, principal, expiresAt } = await ssh(options).obtain(context)
    expect(value).toMatchObject({ kind: 'ssh-certificate', username: 'alice' })
    expect(value.certificate).toMatch(/^ssh-ed25519-cert-v01@openssh\.com \S+( |$)/)
    expect(value.privateKey.reveal()).toContain('OPENSSH PRIVATE KEY')
    expect(principal).toBe('alice')
    expect(expiresAt).toBe(readSshCertificate(value.certificate)?.validUntil)
    expect(context.asked).toEqual([
      {
        how: 'make',
        path: PATH,
        body: {
          public_key: expect.stringMatching(/^ssh-ed25519 /),
          valid_principals: 'alice,staff',
          cert_type: 'user',
        },
      },
    ])
  })
  test('is of another key each time', async () => {
    const context = contextOf({ [PATH]: signing(good) })
    const source = ssh(options)
    const [one, other] = [await source.obtain(context), await source.obtain(context)]
    expect(one.value.privateKey.reveal()).not.toBe(other.value.privateKey.reveal())
  })
  test('names nobody twice', async () => {
    const context = contextOf({ [PATH]: signing(good) }, { principal: 'staff', issuer: 'i', subject: 's' })
    await expect(ssh(options).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
    expect(context.asked[0]?.body).toMatchObject({ valid_principals: 'staff' })
  })
  test.each<readonly [string, SignOptions]>([
    ['for somebody else', { ...good, principals: 'bob' }],
    ['for one more', { ...good, principals: 'alice,staff,root' }],
    ['for one less', { ...good, principals: 'alice' }],
    ['for everybody', { validity: good.validity }],
    ['of a host', { ...good, host: true }],
    ['that has ended', { ...good, validity: '-10m:-5m' }],
  ])('%s is refused', async (_, how) => {
    await expect(ssh(options).obtain(contextOf({ [PATH]: signing(how) }))).rejects.toEqual(
      failing('ERR_DELEGATION_PROTOCOL'),
    )
  })
  test("that is another one's, or no certificate, is refused", async () => {
    const { certificate } = sshCertificate(good)
    for (const signed_key of [certificate, certificate.slice(0, 99), 'x', '', 7])
      await expect(ssh(options).obtain(contextOf({ [PATH]: { data: { signed_key } } }))).rejects.toEqual(
        failing('ERR_DELEGATION_PROTOCOL'),
      )
  })
  test('is asked for with the time of the options', async () => {
    const context = contextOf({ [PATH]: signing(good) })
    await ssh({ ...options, ttl: 60_000 }).obtain(context)
    expect(context.asked[0]?.body).toMatchObject({ ttl: '60s' })
  })
})

test('a certificate for the same bytes as a key of another type is refused', async () => {
  const certified =
    (type: string, ...more: Buffer[]) =>
    ({ body }: Asked) => {
      const bytes = Buffer.from(String(body?.['public_key']).split(' ')[1] ?? '', 'base64').subarray(-32)
      const line = `${type}-cert-v01@openssh.com`
      return { data: { signed_key: oddSshCertificate(line, line, [bytes, ...more], ['alice', 'staff']) } }
    }
  const obtain = (answer: (asked: Asked) => object) => ssh(options).obtain(contextOf({ [PATH]: answer }))
  await expect(obtain(certified('ssh-ed25519'))).resolves.toMatchObject({ principal: 'alice' })
  await expect(obtain(certified('sk-ssh-ed25519', Buffer.alloc(4)))).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
})

test('a role that refuses, or is unknown, denies', async () => {
  await expect(ssh(options).obtain(contextOf({ [PATH]: 400 }))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
})

test.each([403, 404, 500])('a refusal with %i is passed on', async (status) => {
  await expect(ssh(options).obtain(contextOf({ [PATH]: status }))).rejects.toMatchObject({
    name: 'VaultError',
    status,
  })
})

test('a user whose name would be two principals is denied before anything is asked', async () => {
  const context = contextOf({}, { principal: 'bob,root', issuer: 'i', subject: 's' })
  await expect(ssh(options).obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
  expect(context.asked).toEqual([])
})

test.each<readonly [object, RegExp]>([
  [{ ...options, role: undefined }, /^"role" /],
  [{ role: 'users' }, /^"principals" /],
  [{ role: 'users', principals: [] }, /^"principals" /],
  [{ role: 'users', principals: ['deploy'] }, /^"principals\[0\]" /],
  [{ role: 'users', principals: ['{principal}', 'a,b'] }, /^"principals\[1\]" /],
  [{ ...options, ttl: 10 }, /^"ttl" /],
  [{ ...options, mount: '..' }, /^"mount" /],
  [{ ...options, principal: 'x' }, /^"principal" is not an option of ssh/],
])('%j is refused at construction', (given, message) => {
  expect(() => ssh(given as never)).toThrow(TypeError)
  expect(() => ssh(given as never)).toThrow(message)
})
