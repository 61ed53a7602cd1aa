import { XmlElement as Element, parseXml as parse, type XmlDocument, XmlDocumentType, XmlText } from '@rgrove/parse-xml'
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
/** How deep elements may lie in each other: far deeper than vCenter's do. */
const MAX_DEPTH = 64
/** How many tags are read, since each takes far more memory than it has letters: more than a long answer has. */
const MAX_TAGS = 2 ** 21

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
  return text.replace(/[&<>"\t\n\r]/g, (character) => `&#${character.codePointAt(0)};`)
}

/**
 * Reads a document that vCenter wrote. There are no document types in it, and so no entities but XML's own.
 * @throws SyntaxError for what is no such document. It quotes nothing of it, since answers hold tickets.
 */
export function parseXml(document: string): XmlElement {
  let tags = 0
  for (let at = document.indexOf('<'); at !== -1; at = document.indexOf('<', at + 1)) tags += 1
  if (tags > MAX_TAGS) throw refused()
  // XML's ends of lines are "\n", however they are written. The parser's own way there takes quadratic time.
  const { children, root } = parsed(document.replace(/\r\n?/g, '\n'))
  if (root === null || children.some((node) => node instanceof XmlDocumentType)) throw refused()
  return read(root, 1)
}

function parsed(document: string): XmlDocument {
  try {
    return parse(document, { preserveDocumentType: true })
  } catch {
    // It is not well-formed, or its elements lie so deep in each other that the stack has no room for them.
    throw refused()
  }
}

function read({ name, attributes, children }: Element, depth: number): XmlElement {
  if (depth > MAX_DEPTH) throw refused()
  return {
    name: name.replace(/^.*:/, ''),
    attributes: new Map(Object.entries(attributes).map(([key, value]) => [key.replace(/^.*:/, ':'), value])),
    children: children.flatMap((node) => (node instanceof Element ? [read(node, depth + 1)] : [])),
    text: children.map((node) => (node instanceof XmlText ? node.text : '')).join(''),
  }
}

function refused(): SyntaxError {
  return new SyntaxError("not XML of vCenter's")
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
