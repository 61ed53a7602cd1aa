// Control characters, bidirectional and zero-width ones, lone surrogates, separators of lines, and whatever else a
// terminal may choose not to show.
const UNPRINTABLES = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu
/** What needs no quotes: none of it is a space, a quote or `=`, nor in a subject `@`. */
const BARE = /^[\p{L}\p{M}\p{N}\\._:/$+~#%*@-]+$/u
const SUBJECT = /^[\p{L}\p{M}\p{N}\\._:/$+~#%*|-]+$/u
const ISSUER = /^[\p{L}\p{M}\p{N}._:/?&=%~+-]+$/u

/** The longest text of one field that a readable line shows, in UTF-16 code units. */
const MAX_FIELD = 256

/** Escapes every character that could move the cursor, or hide, reorder or break text. All output goes through it. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLES, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** JSON on one line, as it is, in printable characters: it stays the same JSON. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLES, (character) => {
    // In JSON these stand between values alone; in a text they are escaped already.
    if (character < ' ') return ' '
    const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

/** A value as one word of a readable line: text is quoted where it could be taken for more than one, or for none. */
export function word(value: unknown): string {
  return wordOf(value, BARE)
}

/** Who: the subject, and after the first `@` that is not in quotes the issuer; `-` where nobody was verified. */
export function who(subject: unknown, issuer: unknown): string {
  if (subject === undefined && issuer === undefined) return '-'
  return `${subject === undefined ? '' : wordOf(subject, SUBJECT)}@${issuer === undefined ? '' : wordOf(issuer, ISSUER)}`
}

function wordOf(value: unknown, bare: RegExp): string {
  if (typeof value === 'object') return Array.isArray(value) ? '[list]' : '[object]'
  const text = shortened(String(value))
  return bare.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`
}

/** The beginning of a text that is too long for a readable line. */
export function shortened(text: string): string {
  return text.length > MAX_FIELD ? `${text.slice(0, MAX_FIELD)}…` : text
}
