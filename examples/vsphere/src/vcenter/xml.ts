import { VcenterError } from './vcenter-error.ts'

/** A part of an XML document, written. */
export interface Xml {
  readonly xml: string
}

/** What an element holds: text, parts, or nothing. */
export type Content = string | number | boolean | Xml | readonly Xml[]

/** An element of an XML document, read. */
export interface XmlElement {
  /** Its name without a prefix. */
  readonly name: string
  /** By name. The prefix of a name that has one is left out, its colon is not: `:type`. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** Its own text, without its children's. */
  readonly text: string
}

/** What XML 1.0 can't hold, in whatever form. */
const UNWRITABLE = /[^\P{Cc}\t\n\r]|\p{Surrogate}|[\ufffe\uffff]/u
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
}
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
/** How deep elements may lie in each other: far deeper than vCenter's do. */
const MAX_DEPTH = 64

/**
 * Writes an element; text is escaped.
 * @throws {@link VcenterError} `ERR_VCENTER_INVALID` where text holds what XML can't.
 */
export function tag(name: string, content: Content = [], attributes: Readonly<Record<string, string>> = {}): Xml {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`)
  return { xml: `<${name}${written.join('')}>${inner(content)}</${name}>` }
}

/** An element for each value that is there. */
export function tags(values: Readonly<Record<string, Content | undefined>>): readonly Xml[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [tag(name, value)]))
}

function inner(content: Content): string {
  if (typeof content !== 'object') return escaped(String(content))
  return 'xml' in content ? content.xml : content.map(({ xml }) => xml).join('')
}

function escaped(text: string): string {
  if (UNWRITABLE.test(text)) throw new VcenterError('ERR_VCENTER_INVALID', 'a value holds control characters')
  return text.replace(/[&<>"\r]/g, (character) => ESCAPES[character] ?? '')
}

const MARKUP =
  /<\?[^?]*(?:\?(?!>)[^?]*)*\?>|<!--[^-]*(?:-(?!->)[^-]*)*-->|<!\[CDATA\[([^\]]*(?:\](?!\]>)[^\]]*)*)\]\]>|<\/([^\s<>/]+)\s*>|<([^\s<>/!?]+)((?:\s+[^\s=<>/]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y

/**
 * Reads a document that vCenter wrote. There are no document types in it, and so no entities but XML's own.
 * @throws SyntaxError for what is no such document.
 */
export function parseXml(document: string): XmlElement {
  const root = open('', '')
  const path = [root]
  let position = 0
  while (position < document.length) {
    const top = path.at(-1) as Opened
    const next = document.indexOf('<', position)
    top.text += decoded(document.slice(position, next === -1 ? undefined : next))
    if (next === -1) break
    MARKUP.lastIndex = next
    const [all, data, closed, opened, attributes = '', empty] = MARKUP.exec(document) ?? fail('markup')
    position = next + all.length
    if (data !== undefined) top.text += data
    if (closed !== undefined) {
      if (path.length === 1 || top.qualified !== closed) fail('end')
      path.pop()
    }
    if (opened !== undefined) {
      const element = open(opened, attributes)
      top.children.push(element)
      if (empty === '') path.push(element)
      if (path.length > MAX_DEPTH) fail('depth')
    }
  }
  const [only, ...rest] = root.children
  if (path.length > 1 || only === undefined || rest.length > 0 || root.text.trim() !== '') fail('root')
  return only
}

interface Opened extends XmlElement {
  readonly qualified: string
  readonly children: Opened[]
  text: string
}

function open(qualified: string, attributes: string): Opened {
  const found = [...attributes.matchAll(/([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)]
  return {
    qualified,
    name: local(qualified),
    attributes: new Map(
      found.map(([, key = '', double, single]) => [key.replace(/^.*:/, ':'), decoded(double ?? single ?? '')]),
    ),
    children: [],
    text: '',
  }
}

function local(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

function decoded(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#x([\da-fA-F]{1,6});|#(\d{1,7});|(\w+);|)/g, (_, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? fail('entity')
    const code = hex === undefined ? Number(decimal ?? Number.NaN) : Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : fail('character')
  })
}

function fail(what: string): never {
  throw new SyntaxError(`not XML of vCenter's: ${what}`)
}

/** The first child of that name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((one) => one.name === name)
}

/** All children of that name. */
export function all(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  return element?.children.filter((one) => one.name === name) ?? []
}

/** The text of the first child of that name. */
export function textOf(element: XmlElement | undefined, name: string): string | undefined {
  return child(element, name)?.text
}
