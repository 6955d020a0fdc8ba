import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Both kinds run on the built package; `make` builds it first.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'node', include: ['npm/**/*.test.ts', 'tests/node/**/*.test.ts'] } },
      {
        extends: true,
        // One Chromium at a time: two cores hardly carry more.
        test: { name: 'browser', include: ['tests/browser/**/*.test.ts'], fileParallelism: false },
      },
      {
        extends: true,
        test: { name: 'consumers', include: ['tests/consumers/**/*.test.ts'], fileParallelism: false },
      },
    ],
  },
});
