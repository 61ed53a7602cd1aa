import type { Segment, Template } from './paths.ts'

/**
 * Whether two templates may give two different users one text. A text in which a segment of both is the same, around the
 * same placeholder, is that of one user alone.
 */
export function templatesMeet(one: Template, other: Template): boolean {
  if (!one.perUser && !other.perUser) return false
  if (one.segments.length !== other.segments.length) return false
  const pairs = one.segments.map((segment, index) => [segment, other.segments[index] as Segment] as const)
  return pairs.every(([a, b]) => canBeEqual(a, b)) && !pairs.some(([a, b]) => isOfOneUser(a, b))
}

function isOfOneUser(a: Segment, b: Segment): boolean {
  const isSame = a.before === b.before && a.after === b.after && a.placeholder === b.placeholder
  return isSame && a.placeholder !== undefined
}

/** Whether some text is one of both. What stands for a placeholder may be anything but nothing. */
function canBeEqual(a: Segment, b: Segment): boolean {
  if (a.placeholder === undefined && b.placeholder === undefined) return a.before === b.before
  if (a.placeholder === undefined) return gives(b, a.before)
  if (b.placeholder === undefined) return gives(a, b.before)
  const [begins, ends] = [
    [a.before, b.before],
    [a.after, b.after],
  ] as const
  return startAlike(...begins) && endAlike(...ends)
}

function gives({ before, after }: Segment, text: string): boolean {
  return text.length > before.length + after.length && text.startsWith(before) && text.endsWith(after)
}

function startAlike(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

function endAlike(a: string, b: string): boolean {
  return a.endsWith(b) || b.endsWith(a)
}
