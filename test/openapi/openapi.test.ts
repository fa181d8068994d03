import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { EndpointSpec } from '../../contract/endpoints/endpoint.ts';
import { apiVersion, endpoints } from '../../contract/endpoints.ts';
import { contractModules } from '../../server/http/openapi/components.ts';
import type { OpenApiDocument, Operation } from '../../server/http/openapi/document.ts';
import { House } from '../e2e/house.ts';
import { findBreakingChanges } from './breaking-changes.ts';

const contract = join(import.meta.dirname, '../../contract');
const copy = join(contract, 'openapi.json');
const refresh = 'MISSION_REFRESH_OPENAPI=1 npm test -- test/openapi';

let house: House;
let document: OpenApiDocument;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
  document = await house.ask('GET', '/openapi.json');
  if (process.env['MISSION_REFRESH_OPENAPI'] === '1') refreshCopy();
});
afterAll(() => house[Symbol.asyncDispose]());

/** Never over a breaking change whose version was not raised. */
function refreshCopy(): void {
  const before = existsSync(copy) ? JSON.parse(readFileSync(copy, 'utf8')) : document;
  const breaks = before.info.version === apiVersion ? findBreakingChanges(before, { ...document }) : [];
  if (breaks.length === 0) writeFileSync(copy, `${JSON.stringify(document, null, 2)}\n`);
}

const operations = (): [string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );

describe('the committed document', () => {
  test('no client of it is broken, unless the version was raised', () => {
    const before = JSON.parse(readFileSync(copy, 'utf8'));
    if (before.info.version !== apiVersion) return;
    const breaks = findBreakingChanges(before, { ...document });
    expect(breaks, 'this breaks clients: undo it, or raise apiVersion in contract/endpoints.ts').toEqual([]);
  });

  test('is what the server answers', () => {
    const same = readFileSync(copy, 'utf8') === `${JSON.stringify(document, null, 2)}\n`;
    expect(same, `contract/openapi.json is of before: ${refresh}`).toBe(true);
  });
});

describe('the document', () => {
  test('is valid where it refers, names each operation once, and tells what each needs', () => {
    const text = JSON.stringify(document);
    for (const [, place = ''] of text.matchAll(/"\$ref":"#\/components\/([^"]+)"/g)) {
      const [kind = '', name = ''] = place.split('/');
      expect(Object.entries(document.components).find(([key]) => key === kind)?.[1]).toHaveProperty([name]);
    }
    const ids = operations().map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [name, { description, tags, security }] of operations()) {
      expect([name, description]).toEqual([name, expect.stringMatching(/Needs (no key|`[a-z]+:[a-z]+`)/)]);
      expect([name, tags.length, security?.length === 0]).toEqual([name, 1, description.includes('no key')]);
    }
    expect(document.openapi).toBe('3.1.0');
    for (const schema of ['TaskView', 'RunView', 'AskView', 'ChangeView', 'Problem', 'CreateTaskBody'])
      expect(document.components.schemas).toHaveProperty([schema]);
  });

  test('gives each schema a meaning, each body an example that fits it, each failure its form', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'document');
    for (const [name, { requestBody, responses }] of operations()) {
      const body = requestBody?.content['application/json'];
      if (body !== undefined) {
        const validate = ajv.compile(
          JSON.parse(JSON.stringify(body.schema).replaceAll('"#/', '"document#/')),
        );
        expect([name, validate(body.example), body.example]).toEqual([name, true, body.example]);
      }
      for (const status of ['400', '401', '403', '404', '429', '500', '503'])
        expect(Object.keys(responses)).toContain(status);
    }
    for (const response of Object.values(document.components.responses))
      expect(response['content']).toHaveProperty(['application/problem+json', 'example', 'detail']);
  });

  test('names the headers that requests and answers carry', () => {
    const parameters = (id: string) =>
      operations()
        .find(([, { operationId }]) => operationId === id)?.[1]
        .parameters.map(({ name }) => name);
    expect(parameters('createTask')).toContain('Idempotency-Key');
    expect(parameters('decideAsk')).toEqual(expect.arrayContaining(['id', 'Idempotency-Key', 'If-Match']));
    expect(parameters('getTask')).toContain('If-None-Match');
  });
});

describe('the contract’s table of operations', () => {
  const table: [string, EndpointSpec][] = Object.entries(endpoints);

  test('holds each operation that is served, and no other', () => {
    const served = operations().map(([name]) => name.replace(' /api/v1', ' '));
    const told = table.map(([, { method, path }]) => `${method} ${path}`);
    expect(
      served.filter((name) => !told.includes(name)).sort(),
      'these are served and have no entry in contract/endpoints/',
    ).toEqual([]);
    expect(
      told.filter((name) => !served.includes(name)).sort(),
      'these have an entry in contract/endpoints/ and are not served',
    ).toEqual([]);
  });

  test('takes the bodies, queries and answers that the routes take and give', () => {
    const told: Record<string, unknown> = {};
    const served: Record<string, unknown> = {};
    for (const [name, endpoint] of table) {
      const operation = document.paths[`/api/v1${endpoint.path}`]?.[endpoint.method.toLowerCase()];
      if (operation === undefined) continue;
      const queries = endpoint.query instanceof z.ZodObject ? Object.keys(endpoint.query.shape) : [];
      told[name] = {
        queries: queries.sort(),
        body: endpoint.body !== undefined,
        answers: endpoint.answer !== 'nothing',
      };
      served[name] = {
        queries: operation.parameters
          .filter((each) => each.in === 'query')
          .map((each) => each.name)
          .sort(),
        body: operation.requestBody?.content['application/json'] !== undefined,
        answers: !('204' in operation.responses),
      };
    }
    expect(told).toEqual(served);
  });
});

test('every module of the contract with schemas gives them their names', () => {
  const modules = readdirSync(contract)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.replace(/\.ts$/, ''))
    .filter((name) =>
      /export const \w+(: [^=]+)? =\s+z\b/.test(readFileSync(join(contract, `${name}.ts`), 'utf8')),
    );
  const plain = ['disk', 'edge', 'sandbox'];
  const known = Object.keys(contractModules);
  expect(
    modules.filter((name) => !known.includes(name) && !plain.includes(name)),
    'add these to server/http/openapi/components.ts',
  ).toEqual([]);
});

test('the reference shows each operation and schema, and runs no script', async () => {
  const response = await fetch(`${house.url}/api/v1/reference`);
  const html = await response.text();
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(response.headers.get('content-security-policy')).toContain("script-src 'self'");
  expect(html).not.toMatch(/<script|\son\w+=/);
  for (const [, { operationId }] of operations()) expect(html).toContain(`<article id="${operationId}">`);
  for (const name of Object.keys(document.components.schemas)) expect(html).toContain(`id="schema-${name}"`);
  expect(html).toContain('curl -X POST &#x27;'.replace('&#x27;', "'"));
});
