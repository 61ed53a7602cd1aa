/**
 * A name without what many backends ignore: case, accents, widths, compatibility forms. `ſ` is `s`, `ß` is `ss`, `é` is
 * `e`. Two names that look the same may be one account.
 */
export function looks(name: string): string {
  return name.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().toUpperCase().replace(/\s+/g, ' ')
}
