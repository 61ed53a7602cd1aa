import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ring } from './ring.mjs'

const NAME = 'fastmcp-oauth'
const VERSION = '2.1.0'
const SHA512 = '5Gam9HOjJrK832CnbWnc4CNfEMxPqkp4kcTl3hFJSwMIv8h8b1MeN71GYoqh3xRPVG8ST7RH2V9LBt/QQ8n2HQ=='

/**
 * The peer's registry with one module that reads the peer's encrypted cache, as its own modules do, and one cached
 * token. A call writes one audit record.
 */
export async function startPeer({ subject, token, target }) {
  const { DelegationRegistry, EncryptedTokenCache, AuditService } = await loadPeer()
  const records = ring()
  const storage = { log: (record) => records.add(record) }
  const registry = new DelegationRegistry(new AuditService({ enabled: true, storage }))
  const cache = new EncryptedTokenCache({ enabled: true, ttlSeconds: 3600, sessionTimeoutMs: 3_600_000 })
  const sessionId = cache.activateSession(token, subject)
  cache.set(sessionId, `te:${target}`, 't'.repeat(900), token, Math.floor(Date.now() / 1000) + 3600)
  registry.register({
    name: 'intranet',
    type: 'bench',
    async delegate({ userId, claims }, action, { targetService }, context) {
      const data = cache.get(context.sessionId, `te:${targetService}`, claims.access_token)
      const success = data !== null
      const auditTrail = {
        timestamp: new Date(),
        source: 'delegation:intranet',
        userId,
        action,
        success,
        metadata: { targetService },
      }
      return { success, data, auditTrail }
    },
  })
  const session = { userId: subject, username: 'alice', role: 'user', permissions: [], claims: { access_token: token } }
  const ask = () => registry.delegate('intranet', session, 'list_invoices', { targetService: target }, sessionId)
  return {
    async delegating(calls) {
      for (let call = 0; call < calls; call++) {
        const { success } = await ask()
        if (!success) throw new Error('no credential')
      }
    },
    end: () => cache.destroy(),
  }
}

/**
 * The parts of the peer that are measured, of the published package in this exact version. It is kept in the user's
 * cache folder, outside this repository; the measured files import nothing but Node, so its dependencies stay away.
 */
async function loadPeer() {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mcp-delegation-bench')
  const folder = join(cache, `${NAME}-${VERSION}`)
  if (!existsSync(folder)) download(cache, folder)
  const load = (path) => import(pathToFileURL(join(folder, 'dist/src', path)).href)
  const [{ DelegationRegistry }, { EncryptedTokenCache }, { AuditService }] = await Promise.all([
    load('delegation/registry.js'),
    load('delegation/encrypted-token-cache.js'),
    load('core/audit-service.js'),
  ])
  return { DelegationRegistry, EncryptedTokenCache, AuditService }
}

function download(cache, folder) {
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'download-'))
  try {
    const shell = process.platform === 'win32'
    execFileSync('npm', ['pack', `${NAME}@${VERSION}`, '--silent', '--pack-destination', work], {
      cwd: work,
      shell,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const archive = join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '')
    const hash = createHash('sha512').update(readFileSync(archive)).digest('base64')
    if (hash !== SHA512) throw new Error(`${NAME}@${VERSION} is not the package that was measured: sha512-${hash}`)
    execFileSync('tar', ['-xzf', archive, '-C', work])
    renameSync(join(work, 'package'), folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
