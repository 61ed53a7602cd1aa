import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DelegationRegistry, fileAudit } from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { protectMcp } from '@mcp-delegation/mcp'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { bearerModule } from './backend.mjs'
import { ring } from './ring.mjs'

export const RESOURCE = 'http://127.0.0.1/mcp'

/**
 * Starts an MCP server with the tool `total` in a process of its own. `kind` is `open`, `protected`, `filed` (protected,
 * with audit to a file), or `adapted` (protected, in the SDK's own Node form, as the open one is). Returns its port, what
 * processor time it has used in microseconds, and its end.
 */
export async function startServer(kind, issuer) {
  const child = fork(fileURLToPath(import.meta.url), [kind, JSON.stringify(issuer)], { execArgv: [] })
  const ask = async (question) => {
    child.send(question)
    const [answer] = await once(child, 'message')
    return answer
  }
  const [port] = await once(child, 'message')
  return {
    port,
    cpu: () => ask('cpu'),
    async stop() {
      child.send('stop')
      const [status] = await once(child, 'exit')
      if (status !== 0) throw new Error(`the ${kind} server ended with status ${status}`)
    },
  }
}

/** The tool's answer; the same whether or not the caller is known. */
function answerTo({ month }) {
  return { content: [{ type: 'text', text: `the total of ${month} is 42` }] }
}

const inputSchema = z.object({ month: z.string().max(7) })

function open() {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'bench', version: '1.0.0' })
    server.registerTool('total', { inputSchema }, async (args) => answerTo(args))
    return server
  })
  return { listener: toNodeHandler(handler), end: async () => {} }
}

function protectedBy(audit, { issuer, jwksUri }, listen = (mcp, handler) => mcp.node(handler)) {
  const registry = new DelegationRegistry({ modules: { intranet: bearerModule() }, audit, policy: 'backend-decides' })
  const verifier = oidcVerifier({ issuers: [{ issuer, jwksUri }], audience: RESOURCE })
  const mcp = protectMcp({ resource: RESOURCE, verifier, registry })
  const total = mcp.tool('total', async (args, { delegate }) => {
    const lease = await delegate('intranet', { targetService: 'HTTP/backend.corp.example' })
    try {
      if (lease.value.token === undefined) throw new Error('no credential')
      return answerTo(args)
    } finally {
      await lease[Symbol.asyncDispose]()
    }
  })
  const handler = createMcpHandler(() => {
    const server = mcp.guard(new McpServer({ name: 'bench', version: '1.0.0' }))
    server.registerTool('total', { inputSchema }, total)
    return server
  })
  return { listener: listen(mcp, handler), end: () => registry[Symbol.asyncDispose]() }
}

function filed(issuer) {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-delegation-bench-'))
  const audit = fileAudit(join(folder, 'audit.jsonl'))
  const { listener, end } = protectedBy(audit, issuer)
  return {
    listener,
    async end() {
      await end()
      await audit[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    },
  }
}

async function serve(kind, issuer) {
  const records = ring()
  const memory = (record) => records.add(record)
  const kinds = {
    open,
    protected: () => protectedBy(memory, issuer),
    filed: () => filed(issuer),
    adapted: () => protectedBy(memory, issuer, (mcp, handler) => toNodeHandler({ fetch: mcp.fetch(handler) })),
  }
  const { listener, end } = kinds[kind]()
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answers = {
    cpu() {
      const { user, system } = process.cpuUsage()
      process.send(user + system)
    },
    async stop() {
      server.close().closeAllConnections()
      await end()
      process.disconnect()
    },
  }
  process.on('message', (question) => answers[question]())
  process.send(server.address().port)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv[2], JSON.parse(process.argv[3]))
