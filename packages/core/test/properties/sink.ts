import type { AuditRecord } from '../../src/audit.ts'
import type { Call, Issued, SinkCall } from './books.ts'
import { deferred } from './deferred.ts'
import type { House } from './house.ts'
import type { Action } from './schedule.ts'

/** An audit sink that does as it is told, and keeps what it was given. */
export class Sink {
  readonly #house: House
  readonly entries: SinkCall[] = []
  mode: Extract<Action, { do: 'sink' }>['mode'] = 'accepts'

  constructor(house: House) {
    this.#house = house
  }

  #newestFor(call: Call): Issued | undefined {
    const keys = this.#house.keysOf(call)
    return this.#house.issued.findLast(({ good, issue }) => good && keys.includes(issue.key))
  }

  /** Decides about every record that is held. */
  letGo(accepted: boolean): void {
    for (const entry of this.entries) if (entry.state === 'held') entry.answer(accepted)
  }

  write(record: AuditRecord): void | Promise<void> {
    const { promise, resolve, reject } = deferred<void>()
    const entry: SinkCall = {
      record,
      state: 'held',
      answer(accepted) {
        if (entry.state !== 'held') return
        entry.state = accepted ? 'accepted' : 'refused'
        if (accepted) resolve()
        else reject(new Error('the disk is full'))
      },
    }
    this.entries.push(entry)
    const call = this.#house.calls.find(({ tool }) => 'tool' in record && record.tool === tool)
    if (this.mode !== 'accepts' && this.mode !== 'accepts later') call?.met.add('sink')
    if (call !== undefined && record.event === 'delegation' && record.outcome === 'issued')
      call.announces = this.#newestFor(call)
    switch (this.mode) {
      case 'accepts':
        entry.answer(true)
        return
      case 'throws':
        entry.state = 'refused'
        throw new Error('the disk is full')
      case 'rejects':
        entry.answer(false)
        return promise
      case 'accepts later':
        entry.answer(true)
        return promise
      case 'holds':
        return promise
    }
  }
}
