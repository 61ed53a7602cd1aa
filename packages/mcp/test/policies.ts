import type { Decision, Policy } from '@mcp-delegation/core'

/**
 * alice may use everything, others what `open` names; what `scoped` names takes the scope `more` from everybody. Every
 * name is good for tools, resources and prompts.
 */
export function policyOf(open: readonly string[], scoped: readonly string[] = []): Policy {
  const decide = (subject: string, scopes: ReadonlySet<string>, name: string): Decision => {
    if (scoped.includes(name))
      return scopes.has('more') ? { allowed: true } : { allowed: false, reason: 'more', scopes: ['more'] }
    return subject === 'alice' || open.includes(name)
      ? { allowed: true }
      : { allowed: false, reason: 'this needs the level POWER_OPS' }
  }
  return {
    tool: ({ session, tool }) => decide(session.subject, session.scopes, tool),
    resource: ({ session, resource }) => decide(session.subject, session.scopes, resource),
    prompt: ({ session, prompt }) => decide(session.subject, session.scopes, prompt),
    delegation: () => ({ allowed: true }),
  }
}
