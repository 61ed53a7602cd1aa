import type { AuditLogReport } from './report.ts'

/** What may be relied on, in words; it names numbers and instants only. */
export function claimOf(report: Omit<AuditLogReport, 'claim'>): string {
  const { ok, firstSeq = 0, sealed, witnessed, unsealed, unwitnessed } = report
  if (sealed === undefined) return 'Nothing is claimed: there is no valid checkpoint.'
  const but = ok ? '' : 'Apart from what the findings say: '
  const tail = unsealed === 0 ? '' : ` ${count(unsealed)} after that ${unsealed === 1 ? 'is' : 'are'} not sealed.`
  const lines = (seq: number): string => `Lines ${firstSeq} to ${seq}`
  const inner = `${lines(sealed.seq)} are what the holder of the key sealed.${tail}`
  if (witnessed === undefined)
    return `${but}${inner} Whether the log once went further is not claimed, nor anything against the holder of the key: no checkpoint that is held elsewhere vouches for it.`
  const later =
    unwitnessed === 0
      ? ''
      : ` Of what came after, ${unwitnessed === 1 ? 'one record is' : `${unwitnessed} records are`} left.`
  return `${but}${lines(witnessed.seq)} are what was written when the last checkpoint held elsewhere was made, whoever could write the log since. Whether the log went further than it does is not claimed.${later} ${inner}`
}

function count(records: number): string {
  return records === 1 ? 'The one record' : `The ${records} records`
}
