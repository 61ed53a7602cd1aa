import { connect } from 'node:net'

const tlv = (tag: number, ...content: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(content)
  const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...length), body])
}
const integer = (value: number): Buffer => tlv(0x02, Uint8Array.of(value))
const text = (value: string): Buffer => tlv(0x1b, Buffer.from(value))
const name = (type: number, ...parts: readonly string[]): Buffer =>
  tlv(0x30, tlv(0xa0, integer(type)), tlv(0xa1, tlv(0x30, ...parts.map(text))))

/** An AS-REQ without preauthentication. @see RFC 4120 section 5.4.1 */
function asRequest(client: string, realm: string): Buffer {
  const body = tlv(
    0x30,
    tlv(0xa0, tlv(0x03, Buffer.alloc(5))),
    tlv(0xa1, name(1, client)),
    tlv(0xa2, text(realm)),
    tlv(0xa3, name(2, 'krbtgt', realm)),
    tlv(0xa5, tlv(0x18, Buffer.from('20370101000000Z'))),
    tlv(0xa7, integer(1)),
    tlv(0xa8, tlv(0x30, integer(18))),
  )
  return tlv(0x6a, tlv(0x30, tlv(0xa1, integer(5)), tlv(0xa2, integer(10)), tlv(0xa4, body)))
}

/** Whether the KDC at `address`:`port` answers a request about an account within `patience` milliseconds. */
export function answers(address: string, port: number, realm: string, patience: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port })
    const end = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(patience, () => end(false))
    socket.on('error', () => end(false)).on('close', () => end(false))
    socket.on('connect', () => {
      const request = asRequest('alice', realm)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(request.length)
      socket.write(Buffer.concat([length, request]))
    })
    // A KRB-ERROR: it asks for preauthentication.
    socket.on('data', (answer) => end(answer[4] === 0x7e))
  })
}
