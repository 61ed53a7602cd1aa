import { expect, test } from 'vitest'
import { checkPlatform } from '../src/platform.ts'

test('Linux is supported, and other systems are told what to do', () => {
  expect(checkPlatform('linux')).toBeUndefined()
  for (const [platform, name] of [
    ['win32', 'Windows'],
    ['darwin', 'macOS'],
    ['freebsd', 'freebsd'],
  ] as const)
    expect(() => checkPlatform(platform)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(
          new RegExp(`not supported on ${name}\\. Run the server on Linux with libgssapi_krb5`),
        ),
      }),
    )
})
