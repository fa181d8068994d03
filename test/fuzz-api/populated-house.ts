import type { OpenApiDocument } from '../../server/http/openapi/document.ts';
import { House, honest } from '../e2e/house.ts';
import type { Target } from './fuzz.ts';

/** A server with something of each kind in it, and no worker that would change it meanwhile. */
export async function openPopulatedHouse(): Promise<{ house: House; target: Target }> {
  const house = await House.open({ roles: ['api'] });
  const known: string[] = [
    'developer',
    'example',
    'anthropic',
    'anthropic/claude-sonnet-4-5',
    'today',
    'day',
    'agent',
  ];
  const keep = (made: { id?: string }) => known.push(made.id ?? 'missing');
  for (let number = 0; number < 3; number++) {
    const { task, run } = await house.start(honest);
    known.push(task.id, run.id, task.projectId);
  }
  keep(await house.ask('POST', '/projects', { name: 'fuzzed' }));
  const hook = { name: 'fuzzed', project: 'fuzzed', scheme: 'github', title: '{{a}}', instructions: '{{b}}' };
  keep(await house.ask('POST', '/hooks', hook));
  keep(await house.ask('POST', '/principals', { kind: 'human', name: 'fuzzed-viewer', role: 'viewer' }));
  keep(await house.ask('POST', '/webhooks', { url: 'https://example.org/hook', types: ['task.*'] }));
  const { agent } = await house.ask<{ agent: { id: string } }>('POST', '/agents/register', {
    name: 'fuzzed',
    skills: [],
  });
  keep(agent);
  const sent = await house.fetch('/artifacts?name=fuzzed', {
    method: 'POST',
    body: 'content',
    headers: { 'content-type': 'application/octet-stream' },
  });
  const artifact: { id: string } = JSON.parse(await sent.text());
  keep(artifact);
  const document = await house.ask<OpenApiDocument>('GET', '/openapi.json');
  return { house, target: { url: house.url, key: house.key, document, known } };
}
