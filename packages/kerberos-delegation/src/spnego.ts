/** The mechanism's own identifier, 1.3.6.1.5.5.2. */
const SPNEGO = Buffer.from('06062b0601050502', 'hex')
/** The one mechanism that is offered, Kerberos 5: 1.2.840.113554.1.2.2. */
const KRB5 = Buffer.from('06092a864886f712010202', 'hex')

/**
 * Wraps an initial token of the krb5 mechanism as SPNEGO's NegTokenInit, for `Authorization: Negotiate`.
 * @see RFC 4178 section 4.2.1
 */
export function wrapToken(token: Uint8Array): Buffer {
  const mechTypes = der(0xa0, der(0x30, KRB5))
  const mechToken = der(0xa2, der(0x04, token))
  return der(0x60, SPNEGO, der(0xa0, der(0x30, mechTypes, mechToken)))
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.of(tag, ...derLength(content.length)), content])
}

function derLength(length: number): readonly number[] {
  if (length < 0x80) return [length]
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return [0x80 | bytes.length, ...bytes]
}
