import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { z } from 'zod';
import { loginLink } from '../../contract/sessions.ts';
import { testServerVariable } from '../../server/database/test-database.ts';
import type { House } from '../e2e/changes-house.ts';
import { until } from '../start-app.ts';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const root = join(import.meta.dirname, '..', '..');
const buildLimitMs = 60_000;

export const views = {
  wide: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
} as const;

export interface Look {
  theme: 'light' | 'dark';
  view: keyof typeof views;
}

/**
 * The dashboard as it is delivered, once for all files of a test run: a second build would take the pages away
 * under the servers that the first serves. What is left of it goes with the run's PostgreSQL.
 */
export async function buildDashboard(): Promise<void> {
  const { host } = z.object({ host: z.string() }).parse(JSON.parse(process.env[testServerVariable] ?? '{}'));
  const begun = join(host, 'dashboard-begun');
  const built = join(host, 'dashboard-built');
  if (await makeFirst(begun)) {
    await build();
    await mkdir(built);
    return;
  }
  const look = async () => (existsSync(built) ? true : undefined);
  await until(look, 'another test file builds the dashboard', buildLimitMs);
}

/** False where another has made it. */
async function makeFirst(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** In a process of its own, since the tests' own mode would make another page. */
async function build(): Promise<void> {
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

/** A browser's window for somebody who has followed a login link. What goes wrong in the page is kept. */
export async function enter(browser: Browser, house: House, look: Look): Promise<Visit> {
  const context = await browser.newContext({
    viewport: views[look.view],
    colorScheme: look.theme,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
  });
  const { url } = await house.request('POST', '/login-links', loginLink);
  await page.goto(url);
  await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  return { context, page, origin: new URL(url).origin, faults };
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  origin: string;
  /** Errors that nobody caught, and breaches of the content policy. */
  faults: string[];
}
