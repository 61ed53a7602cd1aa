/**
 * A name without what many backends ignore and people don't see: case, accents, widths, compatibility forms, invisible
 * characters, loose spaces. `ſ` is `s`, `ß` is `ss`, `é` is `e`. Two names that look the same may be one account. Letters
 * that Unicode does not decompose stay apart, although some backends equate them: `ø` and `o`, `ł` and `l`, `æ` and `ae`;
 * so do look-alikes of other scripts.
 */
export function looks(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/[\p{M}\p{Default_Ignorable_Code_Point}]/gu, '')
    .toLowerCase()
    .toUpperCase()
    .replace(/[\s\u2800]+/g, ' ')
    .trim()
}
