import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { House } from '../e2e/house.ts';
import { until } from '../start-app.ts';

const cap = 200;
const asked = 300;

interface Opened {
  status: number;
  retryAfter: string | undefined;
  close: () => void;
}

/** Asks for a WebSocket and leaves it idle. */
async function openSocket(house: House): Promise<Opened> {
  const address = new URL('/api/v1/events/stream', house.url);
  const asking = request(address, {
    headers: {
      authorization: `Bearer ${house.key}`,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': btoa('0123456789abcdef'),
    },
  });
  const answer = Promise.withResolvers<Opened>();
  asking.on('error', answer.reject);
  asking.on('upgrade', (response: IncomingMessage, socket: Socket) => {
    socket.on('error', () => undefined);
    const close = () => void socket.destroy();
    answer.resolve({ status: response.statusCode ?? 0, retryAfter: undefined, close });
  });
  asking.on('response', (response: IncomingMessage) => {
    response.resume();
    const retryAfter = response.headers['retry-after'];
    answer.resolve({ status: response.statusCode ?? 0, retryAfter, close: () => undefined });
  });
  asking.end();
  return answer.promise;
}

test('of 300 idle connections those above the cap are told when to come again, and the rest of the API works on', async () => {
  const http = { requestsPerSecond: 1_000, connections: cap, connectionsPerPrincipal: asked };
  await using house = await House.open({ http });
  const opened = await Promise.all(Array.from({ length: asked }, () => openSocket(house)));
  expect(opened.filter(({ status }) => status === 101)).toHaveLength(cap);
  const refused = opened.filter(({ status }) => status !== 101);
  expect(refused).toHaveLength(asked - cap);
  for (const { status, retryAfter } of refused) {
    expect([429, 503]).toContain(status);
    expect(Number(retryAfter)).toBeGreaterThan(0);
  }
  expect((await fetch(`${house.url}/api/v1/health`)).status).toBe(200);
  expect(await house.ask('GET', '/tasks')).toHaveProperty('items');
  for (const { close } of opened) close();
  const again = await until(async () => {
    const one = await openSocket(house);
    one.close();
    return one.status === 101 ? one : undefined;
  }, 'there is room again');
  expect(again.status).toBe(101);
});

test('300 connections that say nothing keep nobody from being answered', async () => {
  await using house = await House.open();
  const { hostname, port } = new URL(house.url);
  const silent = await Promise.all(
    Array.from({ length: asked }, async () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    }),
  );
  try {
    expect((await fetch(`${house.url}/api/v1/health`)).status).toBe(200);
    expect(await house.ask('GET', '/tasks')).toHaveProperty('items');
  } finally {
    for (const socket of silent) socket.destroy();
  }
});
