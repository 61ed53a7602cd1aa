import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { KerberosContext } from '@mcp-delegation/core'
import {
  type ActiveDirectory,
  activeDirectory,
  isPrivileged,
  missing,
  seenByLdap,
  seenBySmb,
  unprivilegedBecause,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bindWithGssapi } from '../fixtures/bind-with-gssapi.ts'
import { type Intranet, intranet } from './support.ts'

const DC = 'ldap/dc1.corp.example'
const FILES = 'cifs/dc1.corp.example'

describe.skipIf(!isPrivileged('a real LDAP and file server', unprivilegedBecause(), missing()))(
  '(privileged) LDAP and SMB',
  () => {
    let lab: ActiveDirectory
    let made: Intranet

    beforeAll(async () => {
      lab = await activeDirectory({ ldap: true, smb: true })
      made = intranet(lab, { allowedDelegationTargets: [DC, FILES], allowExport: [DC, FILES] })
    }, 60_000)

    afterAll(async () => {
      await made?.registry[Symbol.asyncDispose]()
      await lab?.dispose()
    })

    test.each([
      ['alice', 'integrity'],
      ['bob', 'confidentiality'],
    ] as const)('a context logs %s in at an LDAP server, and protects its answers with %s', async (user, security) => {
      const ticket = await made.ask(user, DC)
      await using context = await ticket.value.context({ security })
      const server = await ldap(lab.address)
      try {
        await bindWithGssapi(context, server.bind, security)
        const answer = await server.search(context)
        expect(answer.includes(sidBytes(lab.sid(user)))).toBe(true)
        expect(answer.includes(sidBytes(lab.sid(user === 'alice' ? 'bob' : 'alice')))).toBe(false)
      } finally {
        server.close()
      }
    })

    test.each(['alice', 'bob'])(
      'the programs of others are %s there, with an exported cache',
      async (user) => {
        for (const [target, seenBy] of [
          [DC, seenByLdap],
          [FILES, seenBySmb],
        ] as const) {
          const ticket = await made.ask(user, target)
          const cache = await ticket.value.exportCredentialCache()
          const env = { KRB5CCNAME: `FILE:${cache.path}` }
          expect(await seenBy(lab, { env })).toBe(user)
          await ticket[Symbol.asyncDispose]()
          expect(await seenBy(lab, { env })).toMatch(/^nobody: /)
        }
      },
      60_000,
    )

    test('a server that insists on a layer logs nobody in without', async () => {
      const ticket = await made.ask('alice', DC)
      await using context = await ticket.value.context({ security: 'integrity' })
      const server = await ldap(lab.address)
      try {
        await expect(bindWithGssapi(context, server.bind, 'none')).rejects.toThrow(/layer|result 8/)
      } finally {
        server.close()
      }
    })
  },
)

/** As much of LDAP as is needed. @see RFC 4511 section 4 */
async function ldap(host: string) {
  const socket: Socket = connect(389, host)
  await once(socket, 'connect')
  let id = 0
  const message = (operation: Buffer): Buffer => der(0x30, der(0x02, Buffer.of(++id)), operation)
  const receive = async (): Promise<Buffer> => ((await once(socket, 'data')) as [Buffer])[0]
  return {
    bind: async (credentials: Uint8Array): Promise<Uint8Array> => {
      const sasl = der(0xa3, der(0x04, Buffer.from('GSSAPI')), der(0x04, Buffer.from(credentials)))
      socket.write(message(der(0x60, der(0x02, Buffer.of(3)), der(0x04), sasl)))
      const [, response] = children(children(await receive())[0]?.content ?? Buffer.alloc(0))
      const [result, , , server] = children(response?.content ?? Buffer.alloc(0))
      const code = result?.content[0]
      if (code !== 0 && code !== 14) throw new Error(`the server answers with result ${code}`)
      return server?.tag === 0x87 ? server.content : new Uint8Array()
    },
    /** Asks the root for the SIDs of who asks; both ways through the context. */
    search: async (context: KerberosContext): Promise<Buffer> => {
      const limits = [
        der(0x0a, Buffer.of(0)),
        der(0x0a, Buffer.of(0)),
        der(0x02, Buffer.of(0)),
        der(0x02, Buffer.of(0)),
      ]
      const present = der(0x87, Buffer.from('objectClass'))
      const wanted = der(0x30, der(0x04, Buffer.from('tokenGroups')))
      const request = message(der(0x63, der(0x04), ...limits, der(0x01, Buffer.of(0)), present, wanted))
      const wrapped = await context.wrap(request)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(wrapped.length)
      socket.write(Buffer.concat([length, wrapped]))
      const answer = await receive()
      return Buffer.from(await context.unwrap(answer.subarray(4, 4 + answer.readUInt32BE())))
    },
    close: () => socket.destroy(),
  }
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

interface Element {
  readonly tag: number
  readonly content: Buffer
}

function children(data: Buffer): Element[] {
  const found: Element[] = []
  for (let at = 0; at + 2 <= data.length; ) {
    const [tag = 0, short = 0] = data.subarray(at)
    const more = short < 128 ? 0 : short & 0x7f
    const begin = at + 2 + more
    const end = begin + (more === 0 ? short : data.readUIntBE(at + 2, more))
    found.push({ tag, content: data.subarray(begin, end) })
    at = end
  }
  return found
}

/** @see MS-DTYP section 2.4.2.2 */
function sidBytes(sid: string): Buffer {
  const [, revision = 0, authority = 0, ...parts] = sid.split('-').map(Number)
  const bytes = Buffer.alloc(8 + 4 * parts.length)
  bytes.writeUInt8(revision)
  bytes.writeUInt8(parts.length, 1)
  bytes.writeUIntBE(authority, 2, 6)
  parts.forEach((part, index) => {
    bytes.writeUInt32LE(part, 8 + 4 * index)
  })
  return bytes
}
