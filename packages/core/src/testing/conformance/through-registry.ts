import assert from 'node:assert/strict'
import { isDelegationError } from '../../errors.ts'
import type { Credential } from '../../lease.ts'
import { DelegationRegistry } from '../../registry.ts'
import { memoryAudit } from '../memory-audit.ts'
import { type Bench, check, patienceOf, within } from './bench.ts'
import type { Case, ConformanceCheck, Fixture } from './fixture.ts'
import { leaks, printed } from './leaks.ts'

/** What only a registry brings to light: reuse, audit, blocks, and the end of everything. */
export function registryChecks(fixture: Fixture): readonly ConformanceCheck[] {
  const { granted, unmapped } = fixture
  const [one, other] = granted
  return [
    check('serves its users through a registry, with one audit record for each call', fixture, async (bench) => {
      await using house = openRegistry(bench)
      for (const caller of [one, other, one, other]) {
        await using lease = await house.delegate(caller)
        assert.ok(lease.expiresAt <= caller.session.expiresAt, 'a lease must not outlive its session')
        for (const text of await bench.secretsIn(lease.value)) house.secrets.add(text)
        const record = house.audit.records.at(-1)
        assert.ok(record?.event === 'delegation')
        assert.equal(record.principal, lease.principal, 'audit must name the principal that acts')
      }
      await assert.rejects(house.delegate(unmapped), isDelegationError)
      const outcomes = house.audit.records.map((record) => 'outcome' in record && record.outcome)
      const again = bench.module.reuse === 'never' ? 'issued' : 'reused'
      assert.deepEqual(outcomes, ['issued', 'issued', again, again, 'refused'])
      for (const text of [...house.audit.records.map(printed), ...bench.logs])
        assert.ok(!leaks(text, [...bench.secrets, ...house.secrets]), 'a record or a line of the log holds a secret')
    }),

    check('leaves nothing behind when its registry is disposed', fixture, async (bench) => {
      const before = await bench.outstanding()
      {
        await using house = openRegistry(bench)
        const aborted = new AbortController()
        const attempts = [house.delegate(one), house.delegate(other), house.delegate(one, aborted.signal)]
        aborted.abort(new Error('the caller has gone'))
        await Promise.allSettled(attempts)
      }
      await bench.backTo(before, 'a disposed registry must leave nothing at the backend')
    }),

    check('gives back at once what a blocked user holds', fixture, async (bench) => {
      const before = await bench.outstanding()
      await using house = openRegistry(bench)
      await house.delegate(one)
      await house.registry.block({ issuer: one.session.issuer, subject: one.session.subject })
      await bench.backTo(before, "a blocked user's credential must be given back at once")
      await assert.rejects(house.delegate(one), { code: 'ERR_SESSION_BLOCKED' })
    }),
  ]
}

function openRegistry(bench: Bench) {
  const audit = memoryAudit()
  const { module, log } = bench
  const deadline = patienceOf(bench.fixture)
  const registry = new DelegationRegistry({ modules: { module }, audit, policy: 'backend-decides', log, deadline })
  return {
    registry,
    audit,
    secrets: new Set<string>(),
    async delegate({ session, request }: Case, signal?: AbortSignal): Promise<Credential<unknown>> {
      return await registry.delegate('module', session, request, { signal })
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await within(3 * deadline, () => registry[Symbol.asyncDispose]())
    },
  }
}
