import { expect, test } from 'vitest'
import { appRoleLogin } from '../../src/logins/app-role-login.ts'
import { certificateLogin } from '../../src/logins/certificate-login.ts'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
import { kubernetesLogin } from '../../src/logins/kubernetes-login.ts'
import { tokenFileLogin } from '../../src/logins/token-file-login.ts'

type Factory = (options: never) => unknown

const cases: readonly [Factory, options: object, wrong: Readonly<Record<string, readonly unknown[]>>][] = [
  [jwtLogin, { role: 'mcp' }, { role: ['', undefined, 1, 'a b', 'é', 'x'.repeat(256)] }],
  [
    appRoleLogin,
    { roleId: 'r', secretId: { env: 'SECRET_ID' } },
    { roleId: ['', undefined], secretId: ['text', undefined, { file: 'relative' }] },
  ],
  [kubernetesLogin, { role: 'mcp' }, { role: ['', undefined], tokenFile: ['token', '', 1, '/a\0b'] }],
  [
    certificateLogin,
    { certificate: '/c.pem', privateKey: { file: '/k.pem' } },
    { certificate: ['c.pem', undefined], privateKey: ['/k.pem', undefined], name: ['', 1] },
  ],
]

test.each(cases)('Options of a login are checked: %o', (factory, options, wrong) => {
  const make = (more: object) => () => factory({ ...options, ...more } as never)
  expect(make({})).not.toThrow()
  expect(make({ mount: 'team/login' })).not.toThrow()
  for (const mount of ['', '/jwt', 'jwt/', 'a/../b', 'a%2fb', 'a b', 1])
    expect(make({ mount })).toThrow(
      new TypeError('"mount" must be a path of plain segments without slashes at its ends'),
    )
  for (const [name, values] of Object.entries(wrong))
    for (const value of values) expect(make({ [name]: value }), `${name} ${String(value)}`).toThrow(`"${name}" must be`)
  expect(make({ roel: 'x' })).toThrow(/"roel" is not an option of \w+Login/)
  for (const nothing of [undefined, null, 'text']) expect(() => factory(nothing as never)).toThrow(TypeError)
})

test('The options of a token file are checked', () => {
  expect(() => tokenFileLogin({ path: '/run/token' })).not.toThrow()
  for (const path of ['token', '', undefined]) expect(() => tokenFileLogin({ path } as never)).toThrow('"path" must be')
  expect(() => tokenFileLogin({ path: '/run/token', mount: 'x' } as never)).toThrow('"mount" is not an option')
})
