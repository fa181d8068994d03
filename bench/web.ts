import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunView, runView } from '../contract/runs.ts';
import { loginLink } from '../contract/sessions.ts';
import { createdTask } from '../contract/tasks.ts';
import { findEmbedded } from '../server/database/embedded.ts';
import { openDatabase } from '../server/database/postgres.ts';
import { sql } from '../server/database/sql.ts';
import {
  type Browser,
  type BrowserContext,
  buildDashboard,
  openBrowser,
  type Page,
} from './measure/browser.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { type ServerProcess, startServer } from './measure/server-process.ts';
import { median, timed } from './measure/statistics.ts';
import { log } from './measure/store.ts';

const repeats = 5;
const stepCount = 10_000;
const taskLimitMs = 180_000;

await buildDashboard();
const home = await mkdtemp(join(tmpdir(), 'mission-bench-'));
try {
  await using server = await startServer(home);
  const run = await performSampleTask(server);
  await addSteps(run);
  const browser = await openBrowser();
  try {
    await measure(browser, server, run);
  } finally {
    await browser.close();
  }
} finally {
  await rm(home, { recursive: true, force: true });
}

async function measure(browser: Browser, server: ServerProcess, run: RunView): Promise<void> {
  const scripts: number[] = [];
  const first: number[] = [];
  const again: number[] = [];
  const byLink: number[] = [];
  const byAddress: number[] = [];
  const nodes: number[] = [];
  for (let repeat = 1; repeat <= repeats; repeat++) {
    console.log(`web ${repeat} of ${repeats}`);
    // A context of its own has neither a session nor anything cached.
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      reducedMotion: 'reduce',
    });
    const { url } = loginLink.parse(await server.call('POST', '/api/v1/login-links'));
    const { origin } = new URL(url);
    const page = await context.newPage();
    const loaded = keepScripts(context);
    first.push(await timed(() => openNow(page, url)));
    scripts.push(await loaded());
    again.push(await timed(() => openNow(page, origin)));

    await page.goto(`${origin}/tasks/${run.taskId}`);
    const link = page.getByRole('link', { name: 'Run 1', exact: true });
    await link.waitFor();
    byLink.push(
      await timed(async () => {
        await link.click();
        await awaitLastStep(page);
      }),
    );
    nodes.push(await page.locator('*').count());
    byAddress.push(
      await timed(async () => {
        await page.goto(`${origin}/runs/${run.id}`);
        await awaitLastStep(page);
      }),
    );
    nodes.push(await page.locator('*').count());
    await context.close();
  }
  const row = (what: string, values: number[]) => ({
    what,
    median: rounded(median(values)),
    all: values.map((value) => rounded(value)).join(' '),
  });
  const mostNodes = Math.max(...nodes);
  report(
    'web',
    [
      row('scripts of the first page, as they come over the wire, KB', scripts),
      row('Now with its data, first visit by the login link, nothing cached, ms', first),
      row('Now with its data, loaded again, ms', again),
      row(`a run of ${stepCount} steps, from its task's page to its last step, ms`, byLink),
      row(`a run of ${stepCount} steps, loaded by its address, to its last step, ms`, byAddress),
      row('nodes of the document there', nodes),
    ],
    [
      atMost('initial script, compressed', median(scripts), 250, 'KB'),
      atMost('a run of 10,000 steps opens, by link', median(byLink), 1_000, 'ms'),
      atMost('a run of 10,000 steps opens, by address', median(byAddress), 1_000, 'ms'),
      atMost('its nodes, at most', mostNodes, 2_000, 'nodes'),
    ],
  );
}

/** @returns the kilobytes of all scripts until now. */
function keepScripts(context: BrowserContext): () => Promise<number> {
  const sizes: Promise<number>[] = [];
  context.on('requestfinished', (request) => {
    if (request.resourceType() === 'script')
      sizes.push(request.sizes().then((size) => size.responseBodySize));
  });
  return async () => (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0) / 1_000;
}

async function openNow(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  await page.getByText('every row holds a live lease').waitFor();
  await page
    .getByText(/^(Loading|Reading)/)
    .first()
    .waitFor({ state: 'detached' });
}

async function awaitLastStep(page: Page): Promise<void> {
  await page.getByText(`file-${stepCount}.txt`).waitFor();
}

async function performSampleTask(server: ServerProcess): Promise<RunView> {
  const { run } = createdTask.parse(await server.call('POST', '/api/v1/sample'));
  for (const end = performance.now() + taskLimitMs; performance.now() < end; await sleep(200)) {
    const ended = runView.parse(await server.call('GET', `/api/v1/runs/${run.id}`));
    if (ended.endedAt === null) continue;
    if (ended.status !== 'succeeded') throw new Error(`the sample task ${ended.status}: ${ended.outcome}`);
    return ended;
  }
  throw new Error(`the sample task has not ended within ${taskLimitMs} ms`);
}

/** Behind the server's back, after the run's own: what a long run would have left. */
async function addSteps(run: RunView): Promise<void> {
  const embedded = await findEmbedded({ folder: join(home, 'postgres') });
  if (embedded === undefined)
    throw new Error('the server has no database of its own here: unset DATABASE_URL');
  const { connection } = embedded;
  const database = await openDatabase({ connection, crashPoints: { reach: () => undefined }, log });
  try {
    await database.many(
      sql`INSERT INTO steps (run_id, seq, kind, name, status, lease_token, intent, result, started_at, ended_at)
          SELECT ${run.id}, ${run.steps}::integer + n, 'tool', 'read_file', 'done', 1,
            jsonb_build_object('callId', 'c' || n, 'modelSeq', 1, 'name', 'read_file', 'effect', 'read',
              'input', jsonb_build_object('path', 'file-' || n || '.txt')),
            jsonb_build_object('ok', true, 'output', repeat('line' || chr(10), 200)), now(), now()
          FROM generate_series(1, ${stepCount}::integer) AS n`,
    );
  } finally {
    await database.close();
  }
}
