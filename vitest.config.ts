import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{contract,server,cli,scripts,test}/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // More than there are cores: most tests wait for processes more than they compute.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
