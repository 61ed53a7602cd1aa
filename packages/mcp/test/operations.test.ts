import { testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test } from 'vitest'
import { operations } from '../src/operations.ts'
import { checkOptions } from '../src/options.ts'
import { world } from './support.ts'

function required(...given: Parameters<typeof world>) {
  return operations(checkOptions(world(...given).options))
}
const holding = (...scopes: string[]) => testSession({ scopes: new Set(scopes) })

describe('operations', () => {
  test('a tool of which nothing is said needs the base scopes', () => {
    const { refusal } = required({ requiredScopes: ['mcp'] })
    expect(refusal('tool', 'stock', holding('mcp'))).toBeUndefined()
    expect(refusal('tool', 'stock', holding())).toMatchObject({ code: 'ERR_SESSION_SCOPE', scopes: ['mcp'] })
  })

  test('a refusal names everything that the call needs: base scopes, its own, the policy’s', () => {
    const policy = {
      tool: () => ({ allowed: false as const, reason: 'no', scopes: ['audit', 'not a scope', 'mcp'] }),
      delegation: () => ({ allowed: true as const }),
    }
    const { require, refusal } = required({ requiredScopes: ['mcp'] }, { policy })
    require('erase', ['items:delete'])
    expect(refusal('tool', 'erase', holding('mcp'))).toMatchObject({ scopes: ['mcp', 'items:delete', 'audit'] })
    expect(refusal('tool', 'erase', holding('mcp', 'items:delete'))).toMatchObject({
      code: 'ERR_SESSION_SCOPE',
      scopes: ['mcp', 'items:delete', 'audit'],
      message: 'this tool needs the scopes mcp items:delete audit',
    })
  })

  test('scopes of a policy that no challenge can name are a denial', () => {
    const policy = {
      tool: () => ({ allowed: false as const, reason: 'no', scopes: ['not a scope'] }),
      delegation: () => ({ allowed: true as const }),
    }
    expect(required({}, { policy }).refusal('tool', 'erase', holding())).toMatchObject({ code: 'ERR_TOOL_DENIED' })
  })

  test('scopes that the token has already are not asked for again: they did not help', () => {
    const policy = {
      tool: () => ({ allowed: false as const, reason: 'no', scopes: ['audit', 'offline_access'] }),
      delegation: () => ({ allowed: true as const }),
    }
    const { refusal } = required({ requiredScopes: ['mcp'] }, { policy })
    expect(refusal('tool', 'erase', holding('mcp'))).toMatchObject({
      code: 'ERR_SESSION_SCOPE',
      scopes: ['mcp', 'audit'],
    })
    expect(refusal('tool', 'erase', holding('mcp', 'audit'))).toMatchObject({
      code: 'ERR_TOOL_DENIED',
      message: 'the policy refused: no',
    })
  })

  test('the hierarchy counts for base scopes and for a tool’s own', () => {
    const { require, refusal } = required({ requiredScopes: ['mcp'], scopeHierarchy: { admin: ['mcp', 'write'] } })
    require('erase', ['write'])
    expect(refusal('tool', 'erase', holding('admin'))).toBeUndefined()
    expect(refusal('tool', 'erase', holding('mcp'))).toMatchObject({ scopes: ['mcp', 'write'] })
  })

  test('the same may be said again, something else may not', () => {
    const { require } = required()
    require('erase', ['a', 'b'])
    require('erase', ['b', 'a', 'a'])
    expect(() => require('erase', ['a'])).toThrow('"scopes" of the tool erase are already said to be a b')
    expect(() => require('erase', ['a', 'c'])).toThrow(TypeError)
    expect(() => require('other', ['a b'])).toThrow('"scopes" must be a list of OAuth scopes')
    expect(() => require('other', ['offline_access'])).toThrow('"scopes" must not ask for offline_access')
  })

  test('a tool named like a member of Object.prototype is a tool like any other', () => {
    const { require, refusal } = required()
    expect(refusal('tool', 'constructor', holding())).toBeUndefined()
    require('__proto__', ['a'])
    expect(refusal('tool', '__proto__', holding())).toMatchObject({ scopes: ['a'] })
  })

  test('no scope is asked for where the policy refuses all the same', () => {
    const policy = {
      tool: () => ({ allowed: false as const, reason: 'no' }),
      delegation: () => ({ allowed: true as const }),
    }
    const { require, refusal } = required({ requiredScopes: ['mcp'] }, { policy })
    require('erase', ['items:delete'])
    expect(refusal('tool', 'erase', holding())).toMatchObject({ code: 'ERR_TOOL_DENIED' })
  })

  test('resources and prompts need the base scopes and what the policy says, not what a tool of their name needs', () => {
    const seen: string[] = []
    const policy = {
      tool: () => ({ allowed: true as const }),
      delegation: () => ({ allowed: true as const }),
      resource({ resource }: { resource: string }) {
        seen.push(resource)
        return { allowed: true as const }
      },
    }
    const { require, refusal } = required({ requiredScopes: ['mcp'] }, { policy })
    require('erase', ['items:delete'])
    expect(refusal('resource', 'erase', holding('mcp'))).toBeUndefined()
    expect(refusal('resource', 'erase', holding())).toMatchObject({
      message: 'this resource needs the scopes mcp',
      scopes: ['mcp'],
    })
    expect(refusal('prompt', 'erase', holding('mcp'))).toMatchObject({ code: 'ERR_TOOL_DENIED' })
    expect(seen).toEqual(['erase', 'erase'])
  })
})
