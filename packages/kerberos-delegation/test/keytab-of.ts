function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 255)
}

function counted(data: string | Uint8Array): Buffer {
  const bytes = Buffer.from(data as string)
  return Buffer.concat([u16(bytes.length), bytes])
}

/** A keytab in which each principal has an AES256 key that fits nothing. */
export function keytabOf(principals: readonly string[]): Buffer {
  const entries = principals.map((principal) => {
    const [name = '', realm = ''] = principal.split('@')
    const names = name.split('/')
    const entry = Buffer.concat([
      u16(names.length),
      counted(realm),
      ...names.map(counted),
      Buffer.from('0000000165537f0001', 'hex'),
      u16(18),
      counted(Buffer.alloc(32, 0xee)),
    ])
    return Buffer.concat([u16(0), u16(entry.length), entry])
  })
  return Buffer.concat([Buffer.of(5, 2), ...entries])
}
