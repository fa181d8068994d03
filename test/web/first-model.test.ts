import { join } from 'node:path';
import type { Browser, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { openResponder } from '../../server/models/recorded-model.ts';
import { openRecordings } from '../../server/models/recording.ts';
import { writeAnswer } from '../../server/models/wire-reply.ts';
import { anthropicServerKey, startAnthropicServer } from '../anthropic-server.ts';
import { type House, openHouse } from '../e2e/changes-house.ts';
import type { ServerProcess } from '../start-app.ts';
import { buildDashboard, enter, type Look, openBrowser } from './browser.ts';

const root = join(import.meta.dirname, '..', '..');
const look: Look = { theme: 'light', view: 'wide' };
const model = 'anthropic/claude-sonnet-5';
const env = { MISSION_RECORDINGS: join(root, 'test', 'recordings') };
const files = { 'greeting.txt': 'Helo\n', 'list.txt': 'one\n' };
let browser: Browser;
let house: House;
let worker: ServerProcess;

beforeAll(async () => {
  await buildDashboard();
  house = await openHouse();
  await house.start({ roles: 'api', env });
  worker = await startWorker();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await house?.[Symbol.asyncDispose]();
});

const startWorker = () => house.start({ roles: 'worker', env });

/** Anthropic's protocol over HTTP, with the answers of a recording whatever the model is called. */
function startProvider(recording: string) {
  const respond = openResponder(() => openRecordings(join(root, 'test', 'web')).read(recording));
  return startAnthropicServer((body) => {
    if (!JSON.stringify(body).includes('Reply with the word OK')) return respond(body);
    const usage = { input: 20, cachedInput: 0, output: 2 };
    return writeAnswer({
      id: 'm',
      model: 'm',
      text: 'OK',
      toolCalls: [],
      usage,
      pace: { chunk: 9, delayMs: 0 },
    });
  });
}

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
const turning = (page: Page) => page.locator('.animate-turn');

async function saveKey(page: Page, key: string): Promise<void> {
  await page.getByLabel('Key').fill(key);
  const saved = page.waitForResponse((response) => response.url().endsWith('/providers/anthropic'));
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  expect((await saved).status()).toBe(200);
  await page.getByText('Connected. A test call shows that it answers.').first().waitFor();
}

test('a newcomer connects a model on the page, tries it, and it makes a change in an own repository', {
  timeout: 90_000,
}, async () => {
  await using provider = await startProvider('evening');
  const repository = await house.repository(files);
  const { page, context, faults } = await enter(browser, house, look);
  await button(page, /Connect a model/).click();
  await page.getByLabel('Provider').selectOption('Anthropic');
  await page.getByLabel('Base URL').fill(provider.baseURL);
  await saveKey(page, 'sk-mistyped');
  await page.getByText('anthropic is connected').waitFor();
  await button(page, 'Test call').click();
  await page.getByText('invalid x-api-key').waitFor();
  await saveKey(page, anthropicServerKey);
  await button(page, 'Test call').click();
  await page.getByText(/^answered in/).waitFor();
  expect(await page.content()).not.toContain(anthropicServerKey);

  await button(page, /Give it a task of your own/).click();
  await page.getByLabel('What is wanted').fill('Make the list longer');
  await page.getByLabel('Repository').fill(repository);
  await page.getByText('Folder, checks, set-up, model, budget').click();
  await page.getByLabel('Checks').fill('ls');
  await page.getByLabel('Model').fill(model);
  await button(page, 'Give the task').click();
  await page.waitForURL(/\/runs\/run_/);
  await page.getByText('running', { exact: true }).first().waitFor({ timeout: 30_000 });
  await page.getByText('sleep 3').first().waitFor({ timeout: 30_000 });
  expect(await page.getByText('recording', { exact: true }).count()).toBe(0);
  await page.getByRole('link', { name: 'Review the change' }).waitFor({ timeout: 60_000 });
  await button(page, 'model · 2 tool calls').click();
  await page.getByRole('complementary', { name: 'Details of the step' }).getByText(model).first().waitFor();
  await page.getByRole('link', { name: 'Review the change' }).click();
  await page.getByText('every check passed').waitFor();
  await page.getByText('list.txt').first().waitFor();
  expect(provider.requests).toContainEqual(expect.objectContaining({ model: 'claude-sonnet-5' }));
  expect(faults).toEqual([]);
  await context.close();
});

async function giveTask(name: string) {
  const repository = await house.repository(files);
  return house.home.api.createTask({ instructions: name, repository, checks: ['ls'], model: name });
}

test('a run whose worker is killed is shown as working nowhere until another has it', {
  timeout: 90_000,
}, async () => {
  const { run } = await giveTask('recorded/endless');
  const { page: now, context, origin, faults } = await enter(browser, house, look);
  const page = await context.newPage();
  await page.goto(`${origin}/runs/${run.id}`);
  await page.getByText('echo it begins').first().waitFor({ timeout: 30_000 });
  await turning(page).first().waitFor();
  await turning(now).first().waitFor();

  worker.kill('SIGKILL');
  await worker.exit;
  const interrupted = /interrupted: its worker stopped giving signs of life; it goes on where it was/;
  await Promise.all(
    [page, now].map(async (one) => {
      await one.getByText(interrupted).waitFor({ timeout: 5_000 });
      await turning(one).first().waitFor({ state: 'detached', timeout: 5_000 });
    }),
  );
  await page.getByText('queued', { exact: true }).first().waitFor();
  expect(await page.getByText('running', { exact: true }).count()).toBe(0);
  await now.getByText('No run is working').waitFor();
  await now.getByText('1 run, and what each waits for').waitFor();

  worker = await startWorker();
  await page.getByText('running', { exact: true }).first().waitFor({ timeout: 15_000 });
  await turning(page).first().waitFor();
  await now.getByRole('row', { name: /recorded\/endless/ }).waitFor();
  await page.getByText(interrupted).waitFor({ state: 'detached' });
  await house.home.api.control(run.id, 'stop');
  await page.getByText('stopped', { exact: true }).first().waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

const numbered = z.object({ type: z.literal('event'), event: z.object({ sequence: z.number() }) });

/** The page's stream through our hands: it can be cut, and what has come over it is counted. */
async function tapStream(page: Page) {
  const seen: number[] = [];
  let open: WebSocketRoute | undefined;
  let isCut = false;
  // The page's other way, which it tries where sockets fail, is shut throughout.
  await page.route(/\/events\/stream/, (route) => route.abort());
  await page.routeWebSocket(/\/events\/stream/, async (socket) => {
    if (isCut) return socket.close({ code: 1012 });
    open = socket;
    const server = socket.connectToServer();
    server.onMessage((message) => {
      // What comes between the cut and the close never reaches the page.
      if (isCut) return;
      const frame = numbered.safeParse(JSON.parse(String(message)));
      if (frame.success) seen.push(frame.data.event.sequence);
      socket.send(message);
    });
  });
  return {
    seen,
    async cut() {
      isCut = true;
      await open?.close({ code: 1012 });
    },
    mend() {
      isCut = false;
    },
  };
}

test('a page whose stream is cut says so, and goes on without a gap', { timeout: 90_000 }, async () => {
  const { run } = await giveTask('recorded/steady');
  const { context, origin } = await enter(browser, house, look);
  const page = await context.newPage();
  const stream = await tapStream(page);
  await page.goto(`${origin}/runs/${run.id}`);
  await page.getByText('echo step 1').first().waitFor({ timeout: 30_000 });
  await turning(page).first().waitFor();

  await stream.cut();
  await page.getByText('Connection lost').waitFor({ timeout: 5_000 });
  await page.getByText('last known: running').waitFor();
  expect(await turning(page).count()).toBe(0);
  const { status, steps } = await house.home.api.awaitEnd(run.id);
  expect(status).toBe('succeeded');
  expect(await page.getByText('Connection lost').count()).toBe(1);
  expect(await turning(page).count()).toBe(0);
  expect(await page.getByText('echo step 7').count()).toBe(0);

  stream.mend();
  await page.getByText('Connection lost').waitFor({ state: 'detached', timeout: 30_000 });
  await page.getByText('succeeded', { exact: true }).first().waitFor();
  await page.getByRole('link', { name: 'Review the change' }).waitFor();
  await page.getByText('Spell hello, and list two').first().waitFor();
  const transcript = page.getByRole('region', { name: 'Transcript' });
  await transcript.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
  await transcript.getByText('echo step 5').first().waitFor();
  expect(await transcript.getByText('…', { exact: true }).count()).toBe(0);
  expect(steps).toBeGreaterThan(20);

  const seen = [...stream.seen];
  const log = await house.home.api.eventsUntilNow();
  const [first = 0] = seen;
  const numbers = log.map(({ sequence }) => sequence).filter((at) => at >= first && at <= (seen.at(-1) ?? 0));
  expect(seen).toEqual(numbers);
  const end = log.find(({ runid, type }) => runid === run.id && type === 'run.succeeded');
  expect(seen).toContain(end?.sequence);
  await context.close();
});
