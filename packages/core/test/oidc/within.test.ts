import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import { within } from '../../src/within.ts'
import { outcomeOf, verifierOf } from './support.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What becomes of `work` if garbage is collected while it hangs; a text if nothing does. */
async function meanwhile<T>(work: Promise<T>): Promise<T | 'nothing'> {
  for (let round = 0; round < 5; round++) {
    await sleep(30)
    collectGarbage()
  }
  return Promise.race([work, sleep(3_000, 'nothing' as const, { ref: false })])
}

describe('work within a time', () => {
  const never = (): Promise<never> => new Promise(() => {})

  test('gives its own result, or its own error', async () => {
    expect(await within(1_000, undefined, async () => 7)).toBe(7)
    const error = new Error('no')
    await expect(within(1_000, undefined, () => Promise.reject(error))).rejects.toBe(error)
  })

  test('ends when its time is up, also where it doesn’t heed its signal', async () => {
    let seen: AbortSignal | undefined
    const late = within(20, undefined, (signal) => {
      seen = signal
      return never()
    })
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(seen?.aborted).toBe(true)
  })

  test('ends when the caller gives up, with the caller’s reason, and does not begin after that', async () => {
    const caller = new AbortController()
    const waiting = within(10_000, caller.signal, never)
    caller.abort('gone')
    await expect(waiting).rejects.toBe('gone')
    let began = false
    const work = async (): Promise<void> => {
      began = true
    }
    await expect(within(10_000, caller.signal, work)).rejects.toBe('gone')
    expect(began).toBe(false)
  })
})

describe('a time-out comes although garbage is collected meanwhile, where it is', () => {
  const OUTAGE = { code: 'ERR_DELEGATION_UNAVAILABLE' }
  const quick = { timeout: 1_000 }
  let signer: Signer
  beforeEach(async () => {
    signer = await startSigner()
    const introspection_endpoint = `${signer.issuer}/introspect`
    const document = { issuer: signer.issuer, jwks_uri: signer.jwksUri, introspection_endpoint }
    signer.json('/.well-known/openid-configuration', document)
    signer.route('/introspect', () => {})
  })
  afterEach(() => signer.stop())

  test.each(['/.well-known/openid-configuration', '/jwks'])('%s that hangs', async (path) => {
    await signer.turn('hang', (asked) => asked === path)
    const verifier = verifierOf(signer, {}, quick)
    expect(await meanwhile(outcomeOf(verifier.verify(await signer.sign())))).toMatchObject(OUTAGE)
  })

  test('a key set that begins and never ends', async () => {
    signer.route('/jwks', (_, response) => void response.writeHead(200).write('{"keys":['))
    const verifier = verifierOf(signer, {}, quick)
    expect(await meanwhile(outcomeOf(verifier.verify(await signer.sign())))).toMatchObject(OUTAGE)
  })

  test.each([
    ['the introspection endpoint', async (): Promise<string> => 'secret'],
    ['the secret of introspection', (): Promise<string> => new Promise(() => {})],
  ])('%s', async (_, clientSecret) => {
    const verifier = verifierOf(signer, { introspection: { clientId: 'rs', clientSecret } }, quick)
    expect(await meanwhile(outcomeOf(verifier.verify('opaque')))).toMatchObject(OUTAGE)
  })

  test('verifyMore', async () => {
    const verifier = verifierOf(signer, {}, { ...quick, verifyMore: () => new Promise(() => {}) })
    expect(await meanwhile(outcomeOf(verifier.verify(await signer.sign())))).toMatchObject(OUTAGE)
  })
})
