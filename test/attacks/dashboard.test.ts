import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoginLink } from '../../contract/sessions.ts';
import { House } from '../e2e/house.ts';
import { buildDashboard, openBrowser } from '../web/browser.ts';

let house: House;
let browser: Browser;
const stolen: string[] = [];
const evil = createServer((request, response) => {
  stolen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
  response.end('{}');
});

beforeAll(async () => {
  await buildDashboard();
  house = await House.open({ roles: ['api'] });
  browser = await openBrowser();
  await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await browser?.close();
  await house?.[Symbol.asyncDispose]();
  evil.close();
});

test('a link that names another server logs in to ours, and sends it nothing', async () => {
  const { port } = evil.address() as AddressInfo;
  const { url } = await house.ask<LoginLink>('POST', '/login-links', {});
  const names = ['gatewayUrl', 'gateway', 'server', 'api', 'apiUrl', 'baseUrl', 'ws', 'host'];
  const query = names.map((name) => `${name}=${encodeURIComponent(`http://127.0.0.1:${port}`)}`).join('&');
  const link = new URL(url);
  const page = await browser.newPage();
  const asked = new Set<string>();
  page.on('request', (request) => asked.add(new URL(request.url()).host));
  page.on('websocket', (socket) => asked.add(new URL(socket.url()).host));
  await page.goto(`${link.origin}/login?${query}${link.hash}&${query}`);
  await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  await page.goto(`${link.origin}/tasks?${query}`);
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  expect([...asked]).toEqual([link.host]);
  expect(stolen).toEqual([]);
});

test('a name and its password open the dashboard; a wrong one says so and keeps the name', async () => {
  const password = 'a long enough password';
  const body = JSON.stringify({ password });
  const headers = { 'content-type': 'application/json' };
  const set = await house.fetch('/principals/owner/password', { method: 'PUT', body, headers });
  expect(set.status).toBe(204);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${house.url}/tasks`);
  await page.getByLabel('Name').fill('owner');
  await page.getByLabel('Password').fill('not this one');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('The name or the password is wrong').waitFor();
  expect(await page.getByLabel('Name').inputValue()).toBe('owner');
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Password').press('Enter');
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
});
