import { execFileSync } from 'node:child_process'
import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, TLSSocket } from 'node:tls'
import { isDelegationError } from '@mcp-delegation/core'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { channelBindingsOf } from '../src/channel-bindings.ts'

const folder = mkdtempSync(join(tmpdir(), 'channel-bindings-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Arguments for `openssl` to use that key. */
function using(name: string, { privateKey }: { readonly privateKey: KeyObject }): readonly string[] {
  const path = join(folder, name)
  writeFileSync(path, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return ['-key', path]
}
const rsa = using('rsa', generateKeyPairSync('rsa', { modulusLength: 2048 }))
const ecdsa = using('ecdsa', generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const eddsa = {
  ed25519: using('ed25519', generateKeyPairSync('ed25519')),
  ed448: using('ed448', generateKeyPairSync('ed448')),
}
const PSS = ['-sigopt', 'rsa_padding_mode:pss']

/** A certificate that `openssl` signs with what `args` say, in PEM. */
function certificate(...args: readonly string[]): Buffer {
  const path = join(folder, 'certificate')
  execFileSync('openssl', ['req', '-x509', '-subj', '/CN=localhost', '-days', '1', '-out', path, ...args], {
    stdio: 'pipe',
  })
  return readFileSync(path)
}

/** A socket whose peer shows that certificate. */
function shows(raw: Buffer): TLSSocket {
  const socket = new TLSSocket(new Socket())
  socket.getPeerCertificate = () => ({ raw }) as never
  return socket
}

function expected(hash: string, raw: Buffer): string {
  return `tls-server-end-point:${createHash(hash).update(raw).digest('hex')}`
}

function shown(bindings: Uint8Array): string {
  const bytes = Buffer.from(bindings)
  return bytes.toString('latin1', 0, 21) + bytes.toString('hex', 21)
}

test.for<[what: string, hash: string, args: readonly string[]]>([
  ['RSA with MD5', 'sha256', [...rsa, '-md5']],
  ['RSA with SHA-1', 'sha256', [...rsa, '-sha1']],
  ['RSA with SHA-224', 'sha224', [...rsa, '-sha224']],
  ['RSA with SHA-256', 'sha256', [...rsa, '-sha256']],
  ['RSA with SHA-384', 'sha384', [...rsa, '-sha384']],
  ['RSA with SHA-512', 'sha512', [...rsa, '-sha512']],
  ['RSA-PSS with its default, SHA-1', 'sha256', [...rsa, ...PSS, '-sha1']],
  ['RSA-PSS with SHA-256', 'sha256', [...rsa, ...PSS, '-sha256']],
  ['RSA-PSS with SHA-384', 'sha384', [...rsa, ...PSS, '-sha384']],
  ['RSA-PSS with SHA-512', 'sha512', [...rsa, ...PSS, '-sha512']],
  ['ECDSA with SHA-1', 'sha256', [...ecdsa, '-sha1']],
  ['ECDSA with SHA-256', 'sha256', [...ecdsa, '-sha256']],
  ['ECDSA with SHA-384', 'sha384', [...ecdsa, '-sha384']],
  ['ECDSA with SHA-512', 'sha512', [...ecdsa, '-sha512']],
])('a certificate signed by %s: %s', ([, hash, args]) => {
  const { raw } = new X509Certificate(certificate(...args))
  expect(shown(channelBindingsOf(shows(raw)))).toBe(expected(hash, raw))
})

test.for(['ed25519', 'ed448'] as const)('none are defined for a certificate signed by %s', (algorithm) => {
  const { raw } = new X509Certificate(certificate(...eddsa[algorithm]))
  try {
    channelBindingsOf(shows(raw))
    expect.fail('there were some')
  } catch (error) {
    expect(isDelegationError(error) && [error.code, String(error.cause)]).toEqual([
      'ERR_DELEGATION_PROTOCOL',
      expect.stringContaining('has no hash of its own'),
    ])
  }
})

test.for(['TLSv1.2', 'TLSv1.3'] as const)(
  'of a connection by %s, as often as wanted; a resumed one has none',
  async (version) => {
    const cert = certificate(...rsa, '-sha384')
    const key = readFileSync(join(folder, 'rsa'))
    const server = createServer({ key, cert, maxVersion: version }, (socket) => socket.write('welcome')).listen(
      0,
      '127.0.0.1',
    )
    const sockets: TLSSocket[] = []
    try {
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      let session: Buffer | undefined
      const open = async () => {
        const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, session })
        sockets.push(socket)
        const known = once(socket, 'session')
        await once(socket, 'data')
        if (session === undefined) [session] = (await known) as [Buffer]
        return socket
      }
      const socket = await open()
      for (const _ of [1, 2])
        expect(shown(channelBindingsOf(socket))).toBe(expected('sha384', new X509Certificate(cert).raw))
      const resumed = await open()
      expect(resumed.isSessionReused()).toBe(true)
      expect(() => channelBindingsOf(resumed)).toThrow(TypeError)
    } finally {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  },
)

test('what has no certificate of its peer is refused', () => {
  for (const wrong of [new TLSSocket(new Socket()), undefined, null, {}, new Socket()])
    expect(() => channelBindingsOf(wrong as TLSSocket)).toThrow(
      new TypeError('"socket" must be a connected TLS socket whose peer has shown its certificate'),
    )
})

test('a damaged certificate gives some hash or a clear error', () => {
  const { raw } = new X509Certificate(certificate(...rsa, ...PSS, '-sha384'))
  const change = fc.tuple(fc.nat(raw.length - 1), fc.nat(255))
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(raw.length), (changes, length) => {
      const bytes = Buffer.from(raw)
      for (const [at, to] of changes) bytes[at] = to
      for (const damaged of [bytes, bytes.subarray(0, length)])
        try {
          channelBindingsOf(shows(damaged))
        } catch (error) {
          expect(isDelegationError(error)).toBe(true)
        }
    }),
    { numRuns: 1_000 },
  )
})
