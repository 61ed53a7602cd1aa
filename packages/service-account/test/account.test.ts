import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { isName } from '../src/account.ts'

/** Whether core takes `subject` for the name of somebody. */
function isSubject(subject: string): boolean {
  try {
    testSession({ subject })
    return true
  } catch {
    return false
  }
}

test('whoever can have a session can have an account, and nobody else', () => {
  for (const name of ['a', ' a', 'a ', 'a  b', 'a\u00a0', '\ue000', '\u{10ffff}', '\u0378', '\u3164', 'é'.repeat(127)])
    expect([name, isName(name), isSubject(name)]).toEqual([name, true, true])
  for (const name of ['', 'a\n', '\u007f', '\u00ad', '\u200b', '\u202e', '\u2028', '\u2029', '\ud800', 'é'.repeat(128)])
    expect([name, isName(name), isSubject(name)]).toEqual([name, false, false])
  for (const wrong of [undefined, null, 7, {}, ['a']]) expect(isName(wrong)).toBe(false)
})

test('in every plane of Unicode that has characters of such kinds', () => {
  const clean: string[] = []
  let refused = 0
  for (const plane of [0, 1, 14])
    for (let point = plane << 16; point < (plane + 1) << 16; point++) {
      const character = String.fromCodePoint(point)
      if (isName(character)) clean.push(character)
      else if (!isSubject(character)) refused++
      else expect.fail(`a session may have U+${point.toString(16)}`)
    }
  // Many at a time: 63 characters of 4 bytes are 252.
  for (let index = 0; index < clean.length; index += 63)
    expect(isSubject(clean.slice(index, index + 63).join('')), `of the clean characters, from number ${index}`).toBe(
      true,
    )
  expect([refused > 2_000, clean.length > 190_000]).toEqual([true, true])
})
