import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { House } from '../e2e/house.ts';
import { within } from '../start-app.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
});
afterAll(() => house[Symbol.asyncDispose]());

/** A request of a stranger whose body never comes whole. @returns what was answered before the connection closed */
function dawdle(path: string): Promise<string> {
  const { port } = new URL(house.url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
      );
    });
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

test('a stranger whose body does not come holds no connection', { timeout: 60_000 }, async () => {
  const began = performance.now();
  const paths = ['/api/v1/session', '/api/v1/hooks/hook_00000000000000000/deliveries'];
  const answers = await within(40_000, Promise.all(paths.map(dawdle)), () => 'it is still held');
  expect(answers).toEqual(['', '']);
  // They had their time.
  expect(performance.now() - began).toBeGreaterThan(9_000);
});
