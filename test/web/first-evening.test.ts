import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { sql } from '../../server/database/sql.ts';
import { type House, openHouse } from '../e2e/changes-house.ts';
import type { ServerProcess } from '../start-app.ts';
import { buildDashboard, enter, type Look, openBrowser, type Visit, views } from './browser.ts';

const root = join(import.meta.dirname, '..', '..');
const sampleLimitMs = 120_000;
let browser: Browser;
let house: House;
let server: ServerProcess;
let recordings: string;
let port = '0';

beforeAll(async () => {
  await buildDashboard();
  recordings = await mkdtemp(join(tmpdir(), 'web-recordings-'));
  const sources = [
    'recordings/sample-task',
    'test/recordings/endless',
    'test/web/hostile',
    'test/web/evening',
  ];
  for (const source of sources)
    await copyFile(join(root, `${source}.jsonl`), join(recordings, `${basename(source)}.jsonl`));
  house = await openHouse();
  await startServer();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await house?.[Symbol.asyncDispose]();
  if (recordings !== undefined) await rm(recordings, { recursive: true, force: true });
});

/** Always on the port of the first time, since the page stays open over a restart. */
async function startServer(): Promise<void> {
  server = await house.start({ env: { MISSION_RECORDINGS: recordings, MISSION_PORT: port } });
}

async function visit(look: Look): Promise<Visit> {
  const visited = await enter(browser, house, look);
  ({ port } = new URL(visited.origin));
  return visited;
}

const small = { 'greeting.txt': 'Helo\n', 'list.txt': 'one\n' };

async function giveTask(model: string) {
  const repository = await house.repository(small);
  return house.home.api.createTask({ instructions: `try ${model}`, repository, checks: ['ls'], model });
}

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });

test('a newcomer comes by the link, runs the sample task, and merges its change', {
  timeout: 240_000,
}, async () => {
  const { page, context, faults } = await visit({ theme: 'light', view: 'wide' });
  expect(new URL(page.url()).hash).toBe('');
  await button(page, 'Run the sample task').nth(1).click();
  await page.waitForURL(/\/runs\/run_/);
  await page.getByText('recording', { exact: true }).first().waitFor();
  await page.getByText('running').first().waitFor({ timeout: sampleLimitMs });
  await page.getByText('I will look at the layout').first().waitFor({ timeout: sampleLimitMs });
  await page.getByRole('link', { name: 'Review the change' }).click({ timeout: sampleLimitMs });
  await page.getByText('every check passed').waitFor();
  await page
    .getByRole('heading', { name: 'src/iso.js' })
    .or(button(page, /src\/iso\.js/))
    .first()
    .waitFor();
  expect(await page.title()).toMatch(/^\(1\) /);
  await button(page, 'Merge').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Merge' }).click();
  await page.getByText(/merged into main as/).waitFor({ timeout: sampleLimitMs });
  await button(page, 'Revert').waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

const evenings: Look[] = [
  { theme: 'light', view: 'wide' },
  { theme: 'dark', view: 'phone' },
];

test.each(evenings)('an own repository, by keyboard: $theme, $view', { timeout: 180_000 }, async (look) => {
  const repository = await house.repository(small);
  const { page, context, faults } = await visit(look);
  const { keyboard } = page;
  const follow = async (name: string) => {
    await page.getByRole('link', { name }).first().focus();
    await keyboard.press('Enter');
  };
  const press = async (name: string, within: Page | Locator = page) => {
    await within.getByRole('button', { name, exact: true }).focus();
    await keyboard.press('Enter');
  };
  await keyboard.press('c');
  await page.getByLabel('What is wanted').waitFor();
  await keyboard.type('Make the list longer');
  await keyboard.press('Tab');
  await keyboard.type(repository);
  for (const key of ['Tab', 'Tab', 'Enter', 'Tab', 'Tab']) await keyboard.press(key);
  await keyboard.type('ls');
  for (const key of ['Tab', 'Tab']) await keyboard.press(key);
  await keyboard.type('recorded/evening');
  await keyboard.press('Control+Enter');
  await page.waitForURL(/\/runs\/run_/);

  // While its command sleeps: a word to it, a pause, and on.
  await page.getByText('sleep 3').first().waitFor({ timeout: 30_000 });
  await keyboard.press('i');
  await keyboard.type('Keep the order of the lines.');
  await keyboard.press('Enter');
  await page.getByText('Said. It is read at the next step.').waitFor();
  await keyboard.press('Escape');
  await keyboard.press('p');
  await page.getByText('paused by a person').first().waitFor({ timeout: 30_000 });
  await keyboard.press('p');
  await page.getByText('Keep the order of the lines.').first().waitFor({ timeout: 30_000 });
  await follow('Review the change');

  await page.getByText('every check passed').waitFor({ timeout: 60_000 });
  await press('Send back');
  await page.getByLabel('What must become different?').waitFor();
  await keyboard.type('Make it longer still.');
  await press('Send back', page.getByRole('dialog'));
  await page.getByText('Sent back by owner').waitFor();
  await follow('Make the list longer');
  await follow('Run 2');
  await follow('Review the change');
  await page.getByText('a change that was sent back').waitFor({ timeout: 60_000 });
  await press('Merge');
  await press('Merge', page.getByRole('dialog'));
  await page.getByText(/merged into main as/).waitFor({ timeout: 60_000 });
  await press('Revert');
  await press('Revert', page.getByRole('dialog'));
  await page.getByText('reverted', { exact: true }).first().waitFor({ timeout: 60_000 });
  expect(faults).toEqual([]);
  await context.close();
});

test('scripts, images and terminal sequences in a transcript stay text', { timeout: 120_000 }, async () => {
  await house.store.database.many(
    sql`UPDATE agents SET policy = ${JSON.stringify([
      { effect: 'allow', tool: '*', touches: 'read' },
      { effect: 'allow', tool: '*', touches: 'workspace' },
      { effect: 'ask', tool: 'run_command', pattern: 'printf *' },
    ])}::jsonb WHERE name = 'developer'`,
  );
  const { run } = await giveTask('recorded/hostile');
  const { page, context, faults, origin } = await visit({ theme: 'dark', view: 'wide' });
  const requests: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`${origin}/runs/${run.id}`);
  await page.getByText('Hello <script>globalThis.pwned=1</script>').waitFor();

  // The ask names what hides in the command; edited, the command runs without it.
  const exact = page.getByRole('region', { name: 'The exact action' });
  await exact.waitFor();
  expect(await exact.textContent()).toMatch(/RLO\s*gnihtemos\s*PDF\s*ZWSP\s*U\+0007/);
  await page.keyboard.press('e');
  await button(page, 'Take them out').click();
  await button(page, 'Approve as edited').click();
  await page.getByRole('link', { name: 'Review the change' }).click({ timeout: 60_000 });
  await page.getByRole('heading', { level: 1, name: 'A change <img src=x onerror=alert(1)>' }).waitFor();
  await page.goBack();
  await button(page, /^run_command printf/).click();
  const details = page.getByRole('complementary', { name: 'Details of the step' });
  await details.getByText('done', { exact: false }).first().waitFor();

  expect(await page.evaluate<boolean>("'pwned' in globalThis")).toBe(false);
  expect(await page.locator('main').locator('img, script, iframe, b').count()).toBe(0);
  expect(await page.locator('body').textContent()).not.toContain(String.fromCodePoint(0x1b));
  expect(requests.filter((url) => !url.startsWith(origin))).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});

test('a page that has lost the server says so, and claims nothing', { timeout: 120_000 }, async () => {
  const { run } = await giveTask('recorded/endless');
  const { page, context, origin, faults } = await visit({ theme: 'light', view: 'wide' });
  await page.goto(`${origin}/runs/${run.id}`);
  await page.getByText('running').first().waitFor();
  await page.getByText('echo it begins').first().waitFor();
  expect(await page.locator('.animate-turn').count()).toBeGreaterThan(0);

  server.kill('SIGKILL');
  await server.exit;
  await page.getByText('Connection lost').waitFor({ timeout: 5_000 });
  await page.getByText('last known: running').waitFor();
  expect(await page.locator('.animate-turn').count()).toBe(0);
  await page.getByRole('link', { name: /^Now/ }).click();
  await page.getByText('Last known to work').waitFor();
  expect(await page.locator('.animate-turn').count()).toBe(0);

  await startServer();
  await page.getByText('Connection lost').waitFor({ state: 'detached', timeout: 30_000 });
  await page.getByText('every row holds a live lease').waitFor();
  await button(page, 'Stop everything').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop everything' }).click();
  await page.getByText('Everything is stopped', { exact: true }).waitFor();
  await page.getByText('No run is working').waitFor();
  await button(page, 'Release').click();
  await page.getByText('Everything is stopped', { exact: true }).waitFor({ state: 'detached' });
  await house.home.api.control(run.id, 'stop');
  expect(faults).toEqual([]);
  await context.close();
});

test('a run of ten thousand steps opens at its end, in few nodes', { timeout: 120_000 }, async () => {
  const { run } = await giveTask('recorded/endless');
  await house.home.api.control(run.id, 'stop');
  const { steps } = await house.home.api.awaitEnd(run.id);
  await house.store.database.many(
    sql`INSERT INTO steps (run_id, seq, kind, name, status, lease_token, intent, result, started_at, ended_at)
        SELECT ${run.id}, ${steps}::integer + n, 'tool', 'read_file', 'done', 1,
          jsonb_build_object('callId', 'c' || n, 'modelSeq', 1, 'name', 'read_file', 'effect', 'read',
            'input', jsonb_build_object('path', 'file-' || n || '.txt')),
          jsonb_build_object('ok', true, 'output', repeat('line' || chr(10), 200)), now(), now()
        FROM generate_series(1, 10000) AS n`,
  );
  const { page, context, origin, faults } = await visit({ theme: 'light', view: 'wide' });
  await page.goto(`${origin}/tasks/${run.taskId}`);
  const link = page.getByRole('link', { name: 'Run 1', exact: true });
  await link.waitFor();
  const began = performance.now();
  await link.click();
  await page.getByText('file-10000.txt').waitFor();
  const took = performance.now() - began;
  expect(took, 'milliseconds to open').toBeLessThan(5_000);
  const transcript = page.getByRole('region', { name: 'Transcript' });
  const places = [0.5, 0, 0.25, 1];
  for (const place of places) {
    await transcript.evaluate((element, share) => element.scrollTo(0, element.scrollHeight * share), place);
    await transcript.getByText('…', { exact: true }).first().waitFor({ state: 'detached' });
    expect(await page.locator('*').count()).toBeLessThan(2_000);
  }
  expect(faults).toEqual([]);
  await context.close();
});

const looks: Look[] = (['light', 'dark'] as const).flatMap((theme) =>
  (['wide', 'phone'] as const).map((view) => ({ theme, view })),
);

test.each(looks)('axe finds nothing: $theme, $view', { timeout: 180_000 }, async (look) => {
  const { page, context, origin, faults } = await visit(look);
  const first = async (noun: string) => {
    const { items } = await house.request(
      'GET',
      `/${noun}`,
      z.object({ items: z.array(z.object({ id: z.string() })) }),
    );
    return `/${noun}/${items.at(-1)?.id}`;
  };
  const paths = ['/', '/asks', await first('asks'), '/tasks', '/tasks/new', await first('tasks')];
  paths.push(await first('runs'), '/changes', await first('changes'), '/settings');
  for (const path of paths) {
    await page.goto(origin + path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page
      .getByText(/^(Loading|Reading)/)
      .first()
      .waitFor({ state: 'detached' });
    expect(await findFaults(page), path).toEqual([]);
    const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
    expect(overflow, `${path} is wider than ${views[look.view].width}`).toBeLessThanOrEqual(0);
  }
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  expect(await findFaults(page), 'palette').toEqual([]);
  await page.keyboard.press('Escape');
  expect(faults).toEqual([]);
  await context.clearCookies();
  await page.goto(`${origin}/login`);
  await page.getByText('npx mission login').waitFor();
  expect(await findFaults(page), 'login').toEqual([]);
  await context.close();
});

async function findFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .map(({ target, failureSummary }) => `${target} ${failureSummary}`)
        .join(' | ')
        .slice(0, 900)}`,
  );
}
