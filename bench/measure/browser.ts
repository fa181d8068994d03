import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
// biome-ignore lint/correctness/noUndeclaredDependencies: the one of the root, with which the pages are tested
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

export type { Browser, BrowserContext, Page };

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const root = join(import.meta.dirname, '..', '..');
const buildLimitMs = 60_000;

/** The dashboard of the present sources, as it is delivered. */
export async function buildDashboard(): Promise<void> {
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  await promisify(execFile)(process.execPath, [vite, 'build', 'web', '--logLevel', 'error'], {
    cwd: root,
    timeout: buildLimitMs,
    env: { ...process.env, NODE_ENV: 'production' },
  });
}

/** @throws Error that says how to get Chromium where there is none */
export async function openBrowser(): Promise<Browser> {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is not there: apt-get install chromium, or set CHROMIUM to another`);
  }
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'],
  });
}
