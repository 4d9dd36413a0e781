import { defineConfig } from 'vitest/config';

// Four layers, one runner. `make test` reads each project's JSON report and adds the counts up.
const layer = (name: string, include: string[], timeoutMs: number, parallel: boolean) => ({
  test: {
    name,
    include,
    environment: 'node' as const,
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism: parallel,
    pool: 'forks' as const,
  },
});

export default defineConfig({
  test: {
    projects: [
      layer('unit', ['packages/*/test/**/*.test.ts', 'services/*/test/**/*.test.ts', 'deploy/local/test/**/*.test.ts'], 30_000, true),
      layer('architecture', ['test/architecture/**/*.test.ts'], 30_000, true),
      layer('integration', ['test/integration/**/*.test.ts'], 180_000, false),
      layer('e2e', ['test/e2e/**/*.test.ts'], 900_000, false),
    ],
  },
});
