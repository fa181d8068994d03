import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{contract,server,cli,scripts,test}/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // The default leaves a core free, which on two cores is one file at a time; most tests wait more than they compute.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
