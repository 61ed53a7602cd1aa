/** Everything that a claim or template rule can answer: prefix, a value, suffix. */
export interface Affixes {
  readonly prefix: string
  readonly suffix: string
  /** Whether a value may hold these characters side by side; true where that is not known. */
  holds(characters: string): boolean
  /** Whether this may be the value; true where that is not known. */
  matches(value: string): boolean
}

/** Whether `principal` is among the answers. */
export function gives({ prefix, suffix, matches }: Affixes, principal: string): boolean {
  return (
    principal.length > prefix.length + suffix.length &&
    principal.startsWith(prefix) &&
    principal.endsWith(suffix) &&
    matches(principal.slice(prefix.length, principal.length - suffix.length))
  )
}

/** Whether some text may be among the answers of both; where it says no, none is. */
export function affixesMeet(one: Affixes, two: Affixes): boolean {
  const [long, short] = one.prefix.length >= two.prefix.length ? [one, two] : [two, one]
  if (!long.prefix.startsWith(short.prefix)) return false
  const front = long.prefix.slice(short.prefix.length)
  if (long.suffix.length >= short.suffix.length) {
    // A value of `short` is all of front, a value of `long`, and back.
    const back = long.suffix.slice(0, long.suffix.length - short.suffix.length)
    return long.suffix.endsWith(short.suffix) && short.holds(front) && short.holds(back)
  }
  if (!short.suffix.endsWith(long.suffix)) return false
  // front + a value of `long` is a value of `short` + back; where values are long, each holds the other's constant.
  const back = short.suffix.slice(0, short.suffix.length - long.suffix.length)
  if (short.holds(front) && long.holds(back)) return true
  for (let length = 1; length < front.length; length++) {
    const rest = back.slice(front.length - length)
    if (rest === '' || !back.startsWith(front.slice(length))) continue
    if (short.holds(front.slice(0, length)) && long.holds(rest)) return true
  }
  return false
}
