import type { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Desk } from './tools/index.ts'

/** Ways to go about what is asked for often. They ask vCenter nothing: the tools that they name do. */
export function registerPrompts(server: McpServer, { mcp }: Pick<Desk, 'mcp'>): void {
  server.registerPrompt(
    'investigate_vm',
    {
      title: 'Investigate a virtual machine',
      description: 'Finds out why a virtual machine does not do what it should, without changing anything',
      argsSchema: z.object({ vm: z.string().max(255), symptom: z.string().max(1024).optional() }),
    },
    mcp.prompt<{ vm: string; symptom?: string | undefined }>('investigate_vm', async ({ vm, symptom = 'not said' }) =>
      say(
        `Find out what is wrong with the virtual machine ${JSON.stringify(vm)}. Symptom: ${symptom}.`,
        'Use get_vm_info, then get_host_info of the host that it is on, list_datastores and list_snapshots.',
        'Change nothing. Say what you saw, what it may mean, and which tool would help, as a proposal.',
      ),
    ),
  )
  server.registerPrompt(
    'plan_host_maintenance',
    {
      title: 'Plan maintenance of a host',
      description: 'Plans how a host is taken out of service and put back',
      argsSchema: z.object({ host: z.string().max(255) }),
    },
    mcp.prompt<{ host: string }>('plan_host_maintenance', async ({ host }) =>
      say(
        `Plan maintenance of the host ${JSON.stringify(host)}.`,
        'Use get_host_info, list_clusters and list_vms: which machines are on it, and can the other hosts of its cluster take them?',
        'List what has to be done in order, ending with enter_maintenance_mode and, later, exit_maintenance_mode.',
        'Ask for consent before you call either.',
      ),
    ),
  )
}

function say(...sentences: readonly string[]) {
  return { messages: [{ role: 'user' as const, content: { type: 'text' as const, text: sentences.join('\n') } }] }
}
