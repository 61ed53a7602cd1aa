import type { Entry } from './entry.ts'

/** The entries of several files as one sequence in the order of time. In each file, they stay in their order. */
export async function* byTime(sources: readonly AsyncGenerator<Entry>[]): AsyncGenerator<Entry> {
  const [only, ...others] = sources
  if (only !== undefined && others.length === 0) return yield* only
  const heads: { readonly source: AsyncGenerator<Entry>; readonly at: number; readonly entry: Entry }[] = []
  const advance = async (source: AsyncGenerator<Entry>, before: number): Promise<void> => {
    const { done, value } = await source.next()
    if (done) return
    const at = value.kind === 'record' ? value.at : before
    const index = heads.findIndex((head) => head.at > at)
    heads.splice(index === -1 ? heads.length : index, 0, { source, at, entry: value })
  }
  for (const source of sources) await advance(source, Number.NEGATIVE_INFINITY)
  for (let head = heads.shift(); head !== undefined; head = heads.shift()) {
    yield head.entry
    await advance(head.source, head.at)
  }
}
