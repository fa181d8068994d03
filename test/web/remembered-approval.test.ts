import { AxeBuilder } from '@axe-core/playwright';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PolicyRuleView } from '../../contract/policies.ts';
import { House, shell, toWork } from '../e2e/house.ts';
import { buildDashboard, openBrowser, views } from './browser.ts';

let house: House;
let browser: Browser;
beforeAll(async () => {
  await buildDashboard();
  house = await House.open();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await house?.[Symbol.asyncDispose]();
});

test('an approval for the run shows its exact rule, and lets the same call through from then on', async () => {
  await house.ask('POST', '/policy/rules', {
    rule: { effect: 'ask', tool: 'run_command', pattern: 'sh *' },
    scope: {},
    why: 'a look first',
  });
  const line = 'sh -c "echo one \u202Eowt"';
  const { run } = await house.start(
    [
      ...toWork,
      shell(line),
      shell(line, 'exit status 0'),
      { calls: [['ask_human', { question: 'And now?' }]] },
    ],
    { checks: ['true'] },
  );
  const { ask } = await house.rest(run.id);
  const { url } = await house.ask<{ url: string }>('POST', '/login-links');
  const context = await browser.newContext({
    viewport: views.phone,
    colorScheme: 'dark',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  await page.goto(`${house.url}/asks/${ask?.id}`);
  const exact = page.getByRole('region', { name: 'The exact action' });
  await exact.waitFor();
  expect(await exact.textContent()).toContain('RLO');
  await page.getByRole('button', { name: /Approve for longer/ }).click();
  const rule = page.getByText('allow run_command exactly sh -c "echo one ⟦RLO⟧owt"');
  await rule.waitFor();
  const look = async (name: string) => {
    const folder = process.env['SCREENSHOTS'];
    if (folder === undefined) return;
    for (const [view, size] of Object.entries(views)) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: `${folder}/${name}-${view}-${colorScheme}.png` });
      }
    }
  };
  await look('remember');
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
  await page.getByRole('button', { name: 'For the rest of this run' }).click();
  await page.getByText('for the whole run').waitFor();
  await look('remembered');
  const next = await house.rest(run.id, ask);
  expect(next.ask?.question).toBe('And now?');
  const { items } = await house.ask<{ items: PolicyRuleView[] }>('GET', '/policy/rules');
  expect(items[0]).toMatchObject({
    rule: { input: { command: line } },
    scope: { run: run.id },
    askId: ask?.id,
  });
});
