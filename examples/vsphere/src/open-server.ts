import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AuditSink, type Logger, secretReader } from '@mcp-delegation/core'
import { LEVELS } from './access.ts'
import { openAudit } from './open-audit.ts'
import { inVariables, type Settings } from './settings.ts'
import { createVsphereMcp, type VsphereMcp } from './vsphere-mcp.ts'

/** The MCP server with its audit, ready to answer. */
export interface OpenServer extends AsyncDisposable, Pick<VsphereMcp, 'registry' | 'access'> {
  answer(request: IncomingMessage, response: ServerResponse): void
  /** What an operator reads at the start. */
  summary(): string
}

/** How long an answer about readiness is good for, in milliseconds: anybody may ask. */
const READY_FOR = 5_000

/**
 * Opens what the settings say.
 * @throws Error or DelegationError where a secret can't be read, and SettingsError for a setting that a module refuses.
 */
export async function openServer(settings: Settings, log: Logger): Promise<OpenServer> {
  try {
    return await open(settings, log)
  } catch (error) {
    throw inVariables(error)
  }
}

async function open(settings: Settings, log: Logger): Promise<OpenServer> {
  const { signal } = new AbortController()
  for (const level of LEVELS) {
    const account = settings.accounts[level]
    if (account === undefined) continue
    await secretReader(account.password, `VCENTER_PASSWORD_FILE_${level}`)({ signal })
  }
  const audit: AuditSink & AsyncDisposable = await openAudit(settings.audit, log)
  const vsphere = createVsphereMcp({ settings, audit, log })
  const { registry, access } = vsphere
  const readiness = createReadiness(registry, log)
  return {
    registry,
    access,
    answer(request, response) {
      const path = request.url?.split('?')[0]
      if (path === '/healthz') say(response, 200)
      else if (path === '/readyz') void readiness().then((ready) => say(response, ready ? 200 : 503))
      else void vsphere.answer(request, response)
    },
    summary: () => describe(settings, vsphere),
    async [Symbol.asyncDispose]() {
      await vsphere[Symbol.asyncDispose]()
      await audit[Symbol.asyncDispose]()
    },
  }
}

/** Whether every module can serve. Asked again after some seconds; the log has what is wrong. */
function createReadiness(registry: VsphereMcp['registry'], log: Logger): () => Promise<boolean> {
  let asked: { readonly until: number; readonly answer: Promise<boolean> } | undefined
  const ask = async (): Promise<boolean> => {
    const failures = Object.entries(await registry.check()).filter(([, error]) => error !== undefined)
    for (const [module, error] of failures) log.warn({ err: error, module }, 'a module is not ready')
    return failures.length === 0
  }
  return () => {
    if (asked === undefined || performance.now() > asked.until)
      asked = { until: performance.now() + READY_FOR, answer: ask().catch(() => false) }
    return asked.answer
  }
}

function say(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain', 'cache-control': 'no-store' })
  response.end(status === 200 ? 'ok\n' : 'not ready\n')
}

function describe(
  { resource, listen, oidc, vcenter, vault, accounts, audit }: Settings,
  { registry, access }: VsphereMcp,
) {
  const levels = access.summary().map(({ level, tools, grantedBy }) => {
    const groups = grantedBy.map(({ name }) => name).join(', ')
    return `  ${level}: ${tools.length} more tools, by ${groups}, shared account ${accounts[level]?.username ?? '-'}`
  })
  return [
    `MCP server: ${resource.href}, streamable HTTP on ${listen.host}:${listen.port}`,
    `identity provider: ${oidc.issuer} (${oidc.profile}), audience ${oidc.audience}`,
    `vCenter: ${vcenter.url}`,
    `users' own accounts: ${vault === undefined ? 'none' : `${vault.address}, ${vault.kv.mount}/${vault.kv.path}`}`,
    `audit: ${audit.file}${audit.seal === undefined ? ', not sealed' : `, sealed, checkpoints also in ${audit.seal.checkpoints}`}`,
    'levels:',
    ...levels,
    registry.describe(),
  ].join('\n')
}
