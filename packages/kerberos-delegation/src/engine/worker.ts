import { parentPort } from 'node:worker_threads'
import type { Job, JobResult } from './jobs.ts'
import { acquireServiceTicket, obtainTicket } from './native/delegation.ts'
import { StageError } from './native/stages.ts'

/** One job at a time: the thread waits within the call. */
function done(job: Job): JobResult {
  try {
    return job.kind === 'service'
      ? { kind: 'service', seconds: acquireServiceTicket(job.as) }
      : { kind: 'delegation', facts: obtainTicket(job.delegation) }
  } catch (error) {
    if (error instanceof StageError) return { kind: 'failed', failure: error.failure }
    // A defect costs one order, not everybody's tickets.
    const text = `unexpected: ${error instanceof Error ? error.stack : error}`
    return { kind: 'failed', failure: { stage: job.kind === 'service' ? 'service' : 'self', text } }
  }
}

parentPort?.on('message', (job: Job) => parentPort?.postMessage(done(job)))
