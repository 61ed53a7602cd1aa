import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Much of the time goes by waiting for servers.
    maxWorkers: '100%',
    projects: [
      'packages/*/vitest.config.ts',
      'labs/vitest.config.ts',
      'examples/*/vitest.config.ts',
      'test/vitest.config.ts',
    ],
  },
})
