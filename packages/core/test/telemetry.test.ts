import { DelegationError } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { context, metrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, expect, test } from 'vitest'
import { testModule, testRegistry } from './support.ts'

afterEach(() => {
  trace.disable()
  metrics.disable()
  context.disable()
})

const refusing = testModule({
  before: () => {
    throw new DelegationError('ERR_DELEGATION_DENIED', 'no')
  },
})

test('without an SDK nothing is recorded and nothing fails', async () => {
  const { registry, audit } = testRegistry({ module: testModule() })
  await registry.delegate('module', testSession(), { target: 'x' })
  expect(audit.records).toMatchObject([{ traceId: undefined }])
})

test('each attempt is a span, a count and a duration, with labels of bounded number', async () => {
  const spans = new InMemorySpanExporter()
  context.setGlobalContextManager(new AsyncLocalStorageContextManager())
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }))
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter })
  // After the registry was made, as where a server sets up its SDK late.
  let below: string | undefined
  const module = testModule({
    before: () => {
      below = trace.getActiveSpan()?.spanContext().spanId
    },
  })
  const { registry, audit } = testRegistry({ module, refusing })
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))
  await trace.getTracer('server').startActiveSpan('request', async (parent) => {
    await registry.delegate('module', testSession(), { target: 'x' })
    await registry.delegate('module', testSession(), { target: 'x' })
    await registry.delegate('refusing', testSession(), { target: 'x' }).catch(() => {})
    await registry.delegate('no such thing' as 'module', testSession(), { target: 'x' }).catch(() => {})
    expect(audit.records[0]).toMatchObject({ traceId: parent.spanContext().traceId })
    await registry.block({ issuer: 'https://idp.example', subject: 'mallory' })
    expect(audit.records.at(-1)).toMatchObject({ event: 'block', traceId: parent.spanContext().traceId })
    parent.end()
  })
  const finished = spans.getFinishedSpans().filter(({ name }) => name === 'mcp_delegation.delegate')
  expect(finished.map(({ attributes }) => attributes)).toEqual([
    {
      'mcp_delegation.module': 'module',
      'mcp_delegation.type': 'test',
      'mcp_delegation.outcome': 'issued',
      'mcp_delegation.cache': 'miss',
    },
    {
      'mcp_delegation.module': 'module',
      'mcp_delegation.type': 'test',
      'mcp_delegation.outcome': 'reused',
      'mcp_delegation.cache': 'hit',
    },
    {
      'mcp_delegation.module': 'refusing',
      'mcp_delegation.type': 'test',
      'mcp_delegation.outcome': 'refused',
      'mcp_delegation.cache': 'miss',
      'error.type': 'ERR_DELEGATION_DENIED',
    },
    {
      'mcp_delegation.module': 'unknown',
      'mcp_delegation.outcome': 'refused',
      'mcp_delegation.cache': 'none',
      'error.type': 'ERR_DELEGATION_UNKNOWN_MODULE',
    },
  ])
  expect(below).toBe(finished[0]?.spanContext().spanId)
  await reader.forceFlush()
  const exported = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
  expect(exported.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints.length])).toEqual([
    ['mcp_delegation.attempts', 4],
    ['mcp_delegation.duration', 4],
  ])
  await reader.shutdown()
})
