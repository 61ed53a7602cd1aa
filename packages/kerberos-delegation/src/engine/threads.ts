import { Worker } from 'node:worker_threads'
import type { Job, JobResult } from './jobs.ts'
import { StageError } from './native/stages.ts'

/** Threads that wait for the KDC, so that nothing else has to. */
export interface Threads {
  /** Rejects with {@link StageError}. Jobs for the service itself go first. */
  run(job: Extract<Job, { kind: 'service' }>): Promise<Extract<JobResult, { kind: 'service' }>>
  run(job: Extract<Job, { kind: 'delegation' }>): Promise<Extract<JobResult, { kind: 'delegation' }>>
}

interface Waiting {
  readonly job: Job
  readonly resolve: (result: JobResult) => void
}

/** At most `most` threads, started when they are needed; one is started at once. `onCrash` is told of defects. */
export function startThreads(most: number, onCrash: (error: unknown) => void): Threads {
  const idle: Worker[] = []
  const queue: Waiting[] = []
  const running = new Map<Worker, Waiting>()
  let count = 0

  function start(): void {
    count++
    const worker = new Worker(new URL('./worker.js', import.meta.url))
    worker.on('message', (result: JobResult) => {
      const waiting = running.get(worker)
      running.delete(worker)
      idle.push(worker)
      next()
      waiting?.resolve(result)
    })
    worker.on('error', onCrash)
    worker.on('exit', () => onCrash(new Error('a thread ended')))
    idle.push(worker)
  }
  function next(): void {
    if (queue.length > 0 && idle.length === 0 && count < most) start()
    const worker = queue.length > 0 ? idle.pop() : undefined
    const waiting = worker && queue.shift()
    if (worker === undefined || waiting === undefined) return
    running.set(worker, waiting)
    worker.postMessage(waiting.job)
  }
  async function run(job: Job): Promise<JobResult> {
    const result = await new Promise<JobResult>((resolve) => {
      const waiting = { job, resolve }
      if (job.kind === 'service') queue.unshift(waiting)
      else queue.push(waiting)
      next()
    })
    if (result.kind === 'failed') throw new StageError(result.failure)
    return result
  }

  start()
  return { run: run as Threads['run'] }
}
