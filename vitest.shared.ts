import { fileURLToPath } from 'node:url'
import { defineProject, type UserWorkspaceConfig } from 'vitest/config'

const src = (path: string): string => fileURLToPath(new URL(`./packages/${path}`, import.meta.url))

/**
 * One test project; package names resolve to their sources, so that tests need no build. One that is `timed` has the
 * machine for itself, file by file: it is about deadlines between processes.
 */
export function project(name: string, { timed = false }: { readonly timed?: boolean } = {}): UserWorkspaceConfig {
  return defineProject({
    resolve: {
      alias: [
        { find: /^@mcp-delegation\/core\/(oidc|testing)$/, replacement: `${src('core/src')}/$1/index.ts` },
        { find: /^@mcp-delegation\/core\/audit$/, replacement: src('core/src/audit-log/index.ts') },
        { find: /^@mcp-delegation\/core$/, replacement: src('core/src/index.ts') },
        {
          find: /^@mcp-delegation\/labs\/(active-directory|keycloak|vault|vsphere)$/,
          replacement: `${src('../labs/src')}/$1/index.ts`,
        },
        { find: /^@mcp-delegation\/mcp\/(v1|fastmcp)$/, replacement: `${src('mcp/src')}/$1/index.ts` },
        { find: /^@mcp-delegation\/mcp$/, replacement: src('mcp/src/index.ts') },
        { find: /^@mcp-delegation\/service-account$/, replacement: src('service-account/src/index.ts') },
        { find: /^@mcp-delegation\/vault$/, replacement: src('vault-mapping/src/index.ts') },
      ],
    },
    test: {
      name,
      include: name === 'test' ? ['**/*.test.ts'] : ['test/**/*.test.ts'],
      exclude: ['**/node_modules/**', 'bench/**'],
      typecheck: {
        enabled: true,
        include: ['test/**/*.test-d.ts'],
        tsconfig: name === 'test' ? 'tsconfig.json' : 'test/tsconfig.json',
      },
      testTimeout: 20_000,
      ...(timed && { maxWorkers: 1, sequence: { groupOrder: 1 } }),
    },
  })
}
