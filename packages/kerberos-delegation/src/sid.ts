const MAX_AUTHORITY = 2 ** 48
const MAX_SUB_AUTHORITY = 2 ** 32
const SID = /^S-1-(\d{1,15}|0x[0-9a-f]{12})((?:-\d{1,10}){1,15})$/i

/**
 * The one spelling of a security identifier, `S-1-5-21-1-2-3-1104`; undefined where `text` is none.
 * @see MS-DTYP 2.4.2.1
 */
export function parseSid(text: unknown): string | undefined {
  const [, authority, rest] = (typeof text === 'string' && SID.exec(text)) || []
  if (authority === undefined || rest === undefined) return undefined
  const subAuthorities = rest.slice(1).split('-').map(Number)
  if (Number(authority) >= MAX_AUTHORITY || subAuthorities.some((part) => part >= MAX_SUB_AUTHORITY)) return undefined
  return spelled(Number(authority), subAuthorities)
}

/** The identifier in `bytes`, all of them; undefined where they are none. @see MS-DTYP 2.4.2.2 */
export function decodeSid(bytes: Uint8Array): string | undefined {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = data[1]
  if (data[0] !== 1 || count === undefined || count < 1 || count > 15 || data.length !== 8 + 4 * count) return undefined
  return spelled(
    data.readUIntBE(2, 6),
    Array.from({ length: count }, (_, index) => data.readUInt32LE(8 + 4 * index)),
  )
}

function spelled(authority: number, subAuthorities: readonly number[]): string {
  const first =
    authority < MAX_SUB_AUTHORITY ? authority : `0x${authority.toString(16).toUpperCase().padStart(12, '0')}`
  return `S-1-${first}-${subAuthorities.join('-')}`
}
