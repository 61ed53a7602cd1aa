import type { Grant } from './permission-options.ts'

/** What a group's name means: exactly one of the two, for every text. */
export type Reading<Level extends string> =
  | { readonly grant: Grant<Level>; readonly ignored?: undefined }
  | { readonly grant?: undefined; readonly ignored: string }

/** Reads the names of groups that follow a convention. */
export interface GroupGrammar<Level extends string> {
  /** Every level that it can grant. */
  readonly levels: readonly Level[]
  /** Pure, synchronous and total: what follows no rule is ignored, with the reason. */
  read(group: string): Reading<Level>
}
