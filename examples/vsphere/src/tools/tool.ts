import type { DelegationRegistry, Permissions, Session } from '@mcp-delegation/core'
import type { ProtectedMcp } from '@mcp-delegation/mcp'
import type { McpServer, ToolAnnotations, ToolCallback } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import { type Level, type ToolName, VCENTER } from '../access.ts'
import { inSession } from '../in-session.ts'
import { VcenterError, type VcenterSession } from '../vcenter/index.ts'
import type { VcenterModules } from '../vcenter-modules.ts'

/** What tools, resources and prompts work with. */
export interface Desk {
  readonly registry: DelegationRegistry<VcenterModules>
  readonly mcp: ProtectedMcp<VcenterModules>
  readonly issuer: string
  readonly access: Permissions<Level>
}

/** One call of a tool. */
export interface Task {
  readonly session: Session
  readonly signal: AbortSignal
  readonly desk: Desk
  /** Works in the caller's session at vCenter. */
  vcenter<Result>(
    work: (session: VcenterSession, options: { readonly signal: AbortSignal }) => Promise<Result>,
  ): Promise<Result>
}

/** What a tool answers: for people and models to read, and the same for programs. */
export interface Outcome {
  readonly text: string
  readonly data: object
}

export interface ToolDefinition<Input extends z.ZodObject> {
  readonly title: string
  readonly description: string
  readonly input: Input
  /** Of what the answer is for programs, with dates as text. */
  readonly output: z.ZodObject
  readonly annotations: ToolAnnotations
  run(args: z.output<Input>, task: Task): Promise<Outcome>
}

/** A tool that can be registered. */
export interface Tool {
  readonly name: ToolName
  register(server: McpServer, desk: Desk): void
}

export const READS: ToolAnnotations = { readOnlyHint: true, openWorldHint: false }
export const CHANGES: ToolAnnotations = { readOnlyHint: false, destructiveHint: false, openWorldHint: false }
export const DESTROYS: ToolAnnotations = { readOnlyHint: false, destructiveHint: true, openWorldHint: false }

/** A tool whose calls are guarded and recorded, and whose refusals by vCenter a model can read. */
export function tool<Input extends z.ZodObject>(
  name: ToolName,
  { title, description, input, output, annotations, run }: ToolDefinition<Input>,
): Tool {
  return {
    name,
    register(server, desk) {
      const handler = desk.mcp.tool<z.output<Input>>(name, async (args, { session, signal, delegate }) => {
        const lease = () => delegate(VCENTER, { target: VCENTER })
        try {
          const { text, data } = await run(args, {
            session,
            signal,
            desk,
            vcenter: (work) => inSession(lease, (vcenter) => work(vcenter, { signal })),
          })
          return { content: [{ type: 'text', text }], structuredContent: plain(data) }
        } catch (error) {
          if (!(error instanceof VcenterError)) throw error
          return { content: [{ type: 'text', text: refusal(error) }], isError: true }
        }
      })
      const config = { title, description, inputSchema: input, outputSchema: output, annotations }
      // The compiler does not work out what a callback is given by a schema that is a parameter of its own.
      server.registerTool(name, config, handler as ToolCallback<Input>)
    },
  }
}

/** What a model is told where vCenter did not do what it was asked to. */
export function refusal({ message, fault }: VcenterError): string {
  return fault === undefined || message.includes(fault) ? `vCenter: ${message}` : `vCenter: ${message} (${fault})`
}

/** As JSON has it: dates as text, without what is undefined. */
function plain(data: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(data)) as Record<string, unknown>
}
