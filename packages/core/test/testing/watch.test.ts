import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { watch } from '../../src/testing/conformance/watch.ts'

it('sees what is printed inside it, and nothing else', async () => {
  const { write } = process.stdout
  const [one, other] = [watch(), watch()]
  process.stderr.write('')
  await one.run(async () => {
    await setImmediate()
    process.stdout.write('')
    globalThis.console.debug('')
  })
  other.run(() => process.stderr.write(''))
  expect(new Set(one.prints)).toEqual(new Set(['process.stdout.write', 'console.debug']))
  expect(other.prints).toEqual(['process.stderr.write'])
  one.stop()
  one.stop()
  other.run(() => process.stderr.write(''))
  expect(other.prints).toHaveLength(2)
  other.stop()
  expect(process.stdout.write).toBe(write)
})

it('sees what keeps the process alive, and that it ends', async () => {
  const watched = watch()
  const outside = setInterval(() => {}, 60_000)
  const [timer, server] = watched.run(() => {
    setInterval(() => {}, 60_000).unref()
    setTimeout(() => {}, 0)
    return [setInterval(() => {}, 60_000), createServer().listen(0, '127.0.0.1')] as const
  })
  await once(server, 'listening')
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(watched.alive().toSorted()).toEqual(['TCPSERVERWRAP', 'Timeout'])
  clearInterval(timer)
  clearInterval(outside)
  server.close()
  await expect.poll(() => watched.alive()).toEqual([])
  watched.stop()
})

it('does not mind the idle connections of fetch', async () => {
  const server = createServer((_request, response) => response.end('text')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const watched = watch()
  await watched.run(async () => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    expect(await response.text()).toBe('text')
  })
  await setImmediate()
  expect(watched.alive()).toEqual([])
  watched.stop()
  server.closeAllConnections()
  server.close()
})
