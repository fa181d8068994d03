import { expect, test } from 'vitest';
import { type EgressRule, egressRule } from '../../../contract/egress.ts';
import { readHost } from '../../addresses.ts';
import { judgeRequest, rulesFor, rulesOfPresets } from './rules.ts';

const rule = (more: Partial<EgressRule>) => egressRule.parse({ host: 'a.example', ...more });
const asked = (path: string, method = 'GET', websocket = false) => ({ path, method, websocket });

test('a rule speaks of its own host and ports', () => {
  const rules = [rule({}), rule({ host: '*.b.example', ports: [8443] }), rule({ host: '[2606:4700::1111]' })];
  const found = (host: string, port = 443) => rulesFor(rules, readHost(host), port).length;
  expect([
    found('a.example'),
    found('A.EXAMPLE', 80),
    found('x.a.example'),
    found('a.example', 8080),
  ]).toEqual([1, 1, 0, 0]);
  expect([found('x.b.example', 8443), found('b.example', 8443), found('xb.example', 8443)]).toEqual([
    1, 0, 0,
  ]);
  expect([found('[2606:4700:0:0::1111]'), found('[2606:4700::1112]')]).toEqual([1, 0]);
  expect(rulesFor(rulesOfPresets(['npm']), readHost('registry.npmjs.org'), 443)).toHaveLength(1);
});

test.each([
  ['/v1', true],
  ['/v1/things?x=/../', true],
  ['/v1things', false],
  ['/v2', false],
  ['/v1/../v2', false],
  ['/v1/%2e%2E/v2', false],
  ['/v1/..%2fv2', false],
  ['/v1/x%5c..%5cv2', false],
  ['/v1//v2', false],
  ['/v1/;/../v2', false],
  ['/v1/.', false],
])('below /v1: %s', (path, allowed) => {
  expect('rule' in judgeRequest([rule({ pathPrefix: '/v1' })], asked(path))).toBe(allowed);
});

test('methods and WebSockets are refused with a reason, and one rule is enough', () => {
  const rules = [rule({ methods: ['GET'] }), rule({ pathPrefix: '/write', methods: ['POST'] })];
  expect(judgeRequest(rules, asked('/x', 'POST'))).toEqual({ reason: expect.stringContaining('path') });
  expect(judgeRequest(rules, asked('/x', 'PUT'))).toEqual({ reason: expect.stringContaining('PUT') });
  expect(judgeRequest(rules, asked('/write/x', 'POST'))).toHaveProperty('rule');
  expect(judgeRequest(rules, asked('/x', 'GET', true))).toEqual({
    reason: expect.stringContaining('WebSockets'),
  });
});

test('what is no host is no rule', () => {
  for (const host of [
    'https://a.example',
    'a.example/x',
    'a.example:443',
    '*',
    '*.*.example',
    'a..example',
    'ä.example',
    '',
  ])
    expect(egressRule.safeParse({ host }).success, host).toBe(false);
});
