import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { VcenterError } from '../../src/vcenter/vcenter-error.ts'
import { all, child, parseXml, tag, tags, textOf } from '../../src/vcenter/xml.ts'

describe('written XML', () => {
  test('is read as what it was, whatever the text', () => {
    const texts = ['', ' ', 'a<b>&"\'', ']]>', '<![CDATA[x]]>', '<!-- -->', '&amp;', '&#65;', 'ü€😀', '\t\r\n', '\r']
    for (const text of texts) {
      const read = parseXml(tag('a', [tag('b', text, { c: text }), tag('b', [])]).xml)
      expect([textOf(read, 'b'), child(read, 'b')?.attributes.get('c')]).toEqual([text, text])
      expect(all(read, 'b')).toHaveLength(2)
    }
  })
  test('holds what has a value', () => {
    expect(tag('a', tags({ none: undefined, zero: 0, no: false, empty: '' })).xml).toBe(
      '<a><zero>0</zero><no>false</no><empty></empty></a>',
    )
  })
  test('holds no character that XML has not', () => {
    for (const text of ['\u0000', '\u001b[0m', '\ud800', '\ufffe', 'a\u0008b', '\u009f'])
      for (const write of [() => tag('a', text), () => tag('a', [], { b: text })]) expect(write).toThrow(VcenterError)
  })
})

describe('read XML', () => {
  test('has declarations, comments, character data and prefixes', () => {
    const read = parseXml(`<?xml version="1.0"?>
<!-- a - b - c -->
<s:a xmlns:s='urn:s' type="t" x:type="u"><![CDATA[<&]]]]><b/>&lt;&#x41;&#66;<b  c = "1" ></b ></s:a>
`)
    expect(read).toMatchObject({ name: 'a', text: '<&]]<AB' })
    expect([...read.attributes]).toEqual([
      [':s', 'urn:s'],
      ['type', 't'],
      [':type', 'u'],
    ])
    expect(read.children.map(({ name, attributes }) => [name, attributes.get('c')])).toEqual([
      ['b', undefined],
      ['b', '1'],
    ])
  })
  test.each([
    '',
    'text',
    '<a>',
    '</a>',
    '<a></b>',
    '<a/><b/>',
    '<a/>text',
    '<a',
    '<a b>',
    '<a b=c/>',
    '<a b="<"/>',
    '<a b="1" b="2"/>',
    '<a/></a>',
    '<a/><![CDATA[text]]>',
    '<a>]]></a>',
    '<a>\u0001</a>',
    '<!-- a -- b --><a/>',
    '<a/><?xml version="1.0"?>',
    '<!DOCTYPE a><a/>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a/><!DOCTYPE a>',
    '<a>&b;</a>',
    '<a>&__proto__;</a>',
    '<a b="&c;"/>',
    '<a>&</a>',
    '<a>&#;</a>',
    '<a>&#x110000;</a>',
    '<a>&#0;</a>',
    '<a><!-- </a>',
    '<a><![CDATA[</a>',
  ])('is refused where it is none: %j', (text) => {
    expect(() => parseXml(text)).toThrow(SyntaxError)
  })
  test('is no deeper than 64 elements', () => {
    const deep = (depth: number) => parseXml(`${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}`)
    expect(deep(64)).toMatchObject({ name: 'a' })
    for (const depth of [65, 1_000, 100_000]) expect(() => deep(depth)).toThrow(SyntaxError)
  })
  test('has no more tags than memory has room for', () => {
    expect(() => parseXml(`<a>${'<b/>'.repeat(2 ** 21)}</a>`)).toThrow(SyntaxError)
  })
  test('has names that mean nothing to JavaScript', () => {
    const read = parseXml('<a __proto__="b" constructor="c"><__proto__>d</__proto__></a>')
    expect([...read.attributes.values(), textOf(read, '__proto__')]).toEqual(['b', 'c', 'd'])
  })
  test('is not quoted where it is refused', () => {
    const read = () => parseXml('<a>secret</b>')
    expect(read).toThrow(expect.toSatisfy((error) => !inspect(error, { depth: null }).includes('secret')))
  })
  test('is read in a time that grows with its length alone', () => {
    const size = 200_000
    for (const text of [
      `<a>${'<!--'.repeat(size)}`,
      `<a ${'b="c" '.repeat(size)}`,
      `<a>${'<![CDATA[]'.repeat(size)}`,
      `<a>${'&'.repeat(size)}</a>`,
      `<a${' '.repeat(size)}`,
      `<a>${'<b'.repeat(size)}`,
    ])
      expect(() => parseXml(text)).toThrow(SyntaxError)
    expect(parseXml(`<a>${'\r\n'.repeat(size)}</a>`).text).toBe('\n'.repeat(size))
  })
})
