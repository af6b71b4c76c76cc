import { defineConfig } from "vitest/config";

/**
 * Unit and integration tests run from the sources: the `tulle-source` export condition makes a workspace import
 * resolve to `src/index.ts`. End-to-end tests (`e2e/`) start the built `tulle` command.
 */
export default defineConfig({
  resolve: { conditions: ["tulle-source"] },
  ssr: { resolve: { conditions: ["tulle-source", "node", "import", "default"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "e2e/**/*.test.ts", "examples/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
  },
});
