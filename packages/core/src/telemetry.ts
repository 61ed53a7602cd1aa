import {
  type Attributes,
  type Counter,
  context,
  type Histogram,
  type MeterProvider,
  metrics,
  type Span,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { DelegationErrorCode } from './errors.ts'

const SCOPE = '@mcp-delegation/core'

/** What became of an attempt, in labels of bounded number. */
export interface Measured {
  readonly module: string
  readonly type: string | undefined
  readonly outcome: 'issued' | 'reused' | 'refused' | 'failed' | 'aborted'
  readonly cache: 'hit' | 'miss' | 'joined' | 'negative' | 'none'
  readonly code: DelegationErrorCode | undefined
}

interface Instruments {
  readonly provider: MeterProvider
  readonly attempts: Counter
  readonly duration: Histogram
}

let instruments: Instruments | undefined

/** The instruments of the provider that is registered now. */
function currentInstruments(): Instruments {
  const provider = metrics.getMeterProvider()
  if (instruments?.provider === provider) return instruments
  const meter = provider.getMeter(SCOPE)
  instruments = {
    provider,
    attempts: meter.createCounter('mcp_delegation.attempts', { description: 'Attempts to obtain a credential' }),
    duration: meter.createHistogram('mcp_delegation.duration', {
      description: 'How long an attempt took',
      unit: 's',
      advice: { explicitBucketBoundaries: [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] },
    }),
  }
  return instruments
}

/** Begins the span of an attempt; a span that nobody records costs next to nothing. */
export function startSpan(name: 'delegate' | 'refresh'): Span {
  return trace.getTracer(SCOPE).startSpan(`mcp_delegation.${name}`)
}

/** Runs `work` with `span` as the current one, so that the spans of a module's own calls stand below it. */
export function withSpan<T>(span: Span, work: () => T): T {
  return context.with(trace.setSpan(context.active(), span), work)
}

/** The trace that the caller is part of. */
export function traceIdOf(span: Span): string | undefined {
  const { traceId } = span.spanContext()
  return traceId === '00000000000000000000000000000000' ? undefined : traceId
}

/** The trace that is active now. */
export function activeTraceId(): string | undefined {
  const span = trace.getActiveSpan()
  return span === undefined ? undefined : traceIdOf(span)
}

/** Ends the span and counts the attempt. */
export function endSpan(span: Span, measured: Measured, durationMs: number): void {
  const labels: Attributes = {
    'mcp_delegation.module': measured.module,
    'mcp_delegation.outcome': measured.outcome,
    'mcp_delegation.cache': measured.cache,
  }
  if (measured.type !== undefined) labels['mcp_delegation.type'] = measured.type
  if (measured.code !== undefined) labels['error.type'] = measured.code
  if (span.isRecording()) {
    span.setAttributes(labels)
    if (measured.outcome === 'failed') span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
  const { attempts, duration } = currentInstruments()
  attempts.add(1, labels)
  duration.record(durationMs / 1000, labels)
}
