import { McpServer as McpServerV1, ResourceTemplate as TemplateV1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/server'
import { describe, expect, test } from 'vitest'
import { type ResourceNames, resourceNames } from '../src/resource-names.ts'

type Target = Parameters<ResourceNames['add']>[1]
type Registered = Parameters<ResourceNames['add']>[2] & { enable(): void; disable(): void; remove(): void }

type Read = (request: object, context: object) => Promise<{ readonly reader?: unknown }>
const templates = { v1: TemplateV1, v2: ResourceTemplate }
const servers = { v1: McpServerV1, v2: McpServer }

/** Registers with the SDK, so that what becomes of a registration is what becomes of it there. */
function made(sdk: 'v1' | 'v2') {
  const names = resourceNames()
  const server = new servers[sdk]({ name: 'x', version: '1' }) as unknown as McpServer
  let reading: Read | undefined
  const set = server.server.setRequestHandler.bind(server.server) as (...given: unknown[]) => void
  server.server.setRequestHandler = (method: unknown, handler: unknown): void => {
    const { shape } = method as { readonly shape?: { readonly method: { readonly value: string } } }
    if ((shape?.method.value ?? method) === 'resources/read') reading = handler as Read
    set(method, handler)
  }
  const templateOf = (text: string) => new templates[sdk](text, { list: undefined })
  const add = (name: string, target: Target): Registered => {
    const answer = async () => ({ contents: [], reader: name })
    const registered = server.registerResource(name, target as never, {}, answer) as unknown as Registered
    names.add(name, target, registered)
    return registered
  }
  /** Under which name that was registered which the SDK has answer for a URI. */
  const readerOf = async (uri: string): Promise<unknown> =>
    (await reading?.({ method: 'resources/read', params: { uri } }, {}).catch(() => undefined))?.reader
  return { names, add, templateOf, readerOf }
}

describe.each(['v1', 'v2'] as const)('the name of a resource of SDK %s', (sdk) => {
  test('is that of its URI, then of the first template that it matches, then the URI', () => {
    const { names, add, templateOf } = made(sdk)
    add('all', templateOf('x://{page}'))
    add('first', 'x://1')
    add('late', templateOf('x://{other}'))
    const found = ['x://1', 'x://2', 'y://2', 'no uri'].map((uri) => names.of(uri))
    expect(found).toEqual(['first', 'all', 'y://2', 'no uri'])
    expect([names.ofTemplate('x://{other}'), names.ofTemplate('x://1')]).toEqual(['late', undefined])
  })

  test('is looked for as the SDK does: by the URL’s own form, and among templates in the order of its keys', () => {
    const { names, add, templateOf } = made(sdk)
    add('page', 'https://x.example/a')
    add('words', templateOf('z://{page}'))
    add('1', templateOf('z://{number}'))
    expect(names.of('HTTPS://X.example:443/b/../a')).toBe('page')
    expect(names.of('z://7')).toBe('1')
  })

  test('follows what becomes of the registration', () => {
    const { names, add, templateOf } = made(sdk)
    const moving = add('moving', 'x://1')
    moving.disable()
    moving.enable()
    expect(names.of('x://1')).toBe('moving')
    moving.update({ uri: 'x://2' })
    expect([names.of('x://1'), names.of('x://2')]).toEqual(['x://1', 'moving'])
    const pages = add('pages', templateOf('z://{page}'))
    add('all', templateOf('z://{all}'))
    pages.disable()
    expect(names.of('z://1')).toBe('pages')
    pages.update({ template: templateOf('w://{page}') })
    expect([names.of('z://1'), names.of('w://1')]).toEqual(['all', 'pages'])
    pages.update({ name: 'sheets' })
    expect(names.of('w://1')).toBe('sheets')

    const [fixed, template] = [add('fixed', 'v://1'), add('template', templateOf('u://{page}'))]
    fixed.remove()
    template.remove()
    expect([names.of('v://1'), names.of('u://1')]).toEqual(['v://1', 'u://1'])
  })

  test('stays wherever the SDK still answers for it', async () => {
    const { names, add, templateOf, readerOf } = made(sdk)
    const moving = add('moving', 'x://1')
    const pages = add('pages', templateOf('y://{page}'))
    add('all x', templateOf('x://{all}'))
    add('all y', templateOf('y://{+all}'))
    const RENAMED = ['sheets', 'leaves']
    const agree = async (): Promise<void> => {
      for (const uri of ['x://1', 'x://2', 'x://3', 'y://1', 'z://1', 'w://1']) {
        const name = names.of(uri)
        expect([uri, RENAMED.includes(name) ? 'pages' : name]).toEqual([uri, (await readerOf(uri)) ?? uri])
      }
    }
    await agree()
    for (const uri of ['x://2', 'x://3', 'x://1', null, 'x://2', '', 'x://1']) {
      moving.update({ uri })
      await agree()
    }
    for (const name of ['sheets', 'leaves', 'pages', null, 'sheets', '', 'pages']) {
      pages.update({ name, template: templateOf(name === 'leaves' ? 'z://{page}' : 'y://{page}') })
      await agree()
    }
    pages.update({ template: templateOf('w://{page}') })
    await agree()
  })
})
