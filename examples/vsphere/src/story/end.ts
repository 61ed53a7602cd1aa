import type { KeyObject } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { verifyAuditLog } from '@mcp-delegation/core/audit'
import { loggedIn, type Scene } from './scene.ts'

export interface Left {
  readonly auditFile: string
  /** The file of checkpoints that is held elsewhere. */
  readonly checkpoints: string
  readonly publicKey: KeyObject
  /** Of all who can log in at vCenter. */
  readonly passwords: readonly string[]
}

/** The last chapter, when the MCP server has ended: what it leaves behind, and what is on record. */
export async function tellEnd({ narrator, center }: Pick<Scene, 'narrator' | 'center'>, left: Left): Promise<void> {
  const { auditFile, checkpoints, publicKey, passwords } = left
  const { chapter, say, expect } = narrator
  chapter('8. The MCP server has ended. What is left, and what is on record?')
  const names = await loggedIn(center)
  say(`logged in at vCenter: ${names.join(', ') || 'nobody'}`)
  expect('nobody is logged in at vCenter', names.length === 0)

  const options = { keys: [publicKey], checkpoints }
  const report = await verifyAuditLog({ files: [auditFile], ...options })
  say(`the audit file: ${report.claim}`)
  expect('the audit file is as it was written, to its end', report.ok && report.unwitnessed === 0 && report.records > 0)

  const audit = readFileSync(auditFile, 'utf8')
  const copy = `${auditFile}.copy`
  for (const [what, tampered] of [
    ['another name in one record', audit.replace('"subject":"nina"', '"subject":"otto"')],
    ['one record less', audit.replace(/^.*"subject":"nina".*\n/m, '')],
    ['without its last lines', audit.slice(0, audit.lastIndexOf('\n', audit.length * 0.9) + 1)],
  ] as const) {
    writeFileSync(copy, tampered)
    const found = await verifyAuditLog({ files: [copy], ...options })
    say(`a copy ${what}: ${[...new Set(found.findings.map(({ kind }) => kind))].join(', ')}`)
    expect('does not verify', tampered !== audit && !found.ok)
  }

  expect('audit holds no access token', !/eyJ[\w-]+\.eyJ/.test(withoutCheckpoints(audit)))
  expect(`audit holds none of the ${passwords.length} passwords`, !passwords.some((one) => audit.includes(one)))
}

/** Checkpoints are signed as tokens are, but they open nothing. */
function withoutCheckpoints(audit: string): string {
  return audit.replace(/"jws":"[^"]*"/g, '')
}
