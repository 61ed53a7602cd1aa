// Control characters, line and paragraph separators, bidirectional controls, zero-width characters and lone surrogates.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u
const UNPRINTABLES = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu
const PLAIN = /^[\x20-\x7e]*$/

const escaped = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/** Escapes every character that could hide or reorder text, and cuts what is longer than `max` characters. */
export function printable(text: string, max: number): string {
  if (text.length <= max && PLAIN.test(text)) return text
  const cut = text.length > max ? `${text.slice(0, max)}…` : text
  return cut.replace(UNPRINTABLES, escaped)
}

/**
 * The same text, stored in one piece. The engine keeps what was concatenated as a tree of its parts: for a text that
 * stays, several times its size. For well-formed text.
 */
export function inOnePiece(text: string): string {
  return Buffer.from(text).toString()
}

/** Whether `text` is well-formed Unicode of 1 to `maxBytes` UTF-8 bytes without control or format characters. */
export function isCleanText(text: unknown, maxBytes: number): text is string {
  if (typeof text !== 'string' || text === '' || text.length > maxBytes) return false
  if (PLAIN.test(text)) return true
  return !UNPRINTABLE.test(text) && Buffer.byteLength(text) <= maxBytes
}
