import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { sql } from '../../server/database/sql.ts';
import { fullActor } from '../../server/domain/actor.ts';
import { putEgress } from '../../server/domain/egress/lists.ts';
import { startAnthropicServer } from '../anthropic-server.ts';
import { House } from '../e2e/house.ts';
import { wireKey } from '../wire-server.ts';
import { type Call, openObedientModel } from './obedient-model.ts';

/** A web server of ours on one of loopback's addresses, and what reached it. */
export interface Site extends AsyncDisposable {
  /** `127.0.0.2:4711` */
  place: string;
  requests: string[];
  /** What it answers, by path. */
  pages: Map<string, string>;
}

async function startSite(address: string): Promise<Site> {
  const requests: string[] = [];
  const pages = new Map<string, string>();
  const server = createServer(async (request, response) => {
    const body = await text(request);
    requests.push(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n${body}`);
    response.end(pages.get(request.url ?? '') ?? 'ok\n');
  });
  // Whoever gets this far without HTTP has got too far as well.
  server.on('clientError', (_error, socket) => {
    requests.push('not HTTP');
    socket.destroy();
  });
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    place: `${address}:${port}`,
    requests,
    pages,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * A server with agents that obey everybody, and what they could do harm to: a folder of the host, an attacker's
 * site that nothing allows, a site that anybody may post to and that the allow-list holds, and a page to read.
 */
export interface World extends AsyncDisposable {
  house: House;
  /** Not on the allow-list. */
  evil: Site;
  /** On the allow-list, and everybody's. */
  paste: Site;
  /** On the allow-list, to be read. */
  docs: Site;
  /** Of the host, outside of everything. */
  outside: string;
  scripts: Map<string, readonly Call[]>;
  /** What must be the same afterwards, and is no agent's to change. */
  look(): Promise<string>;
}

const owner = fullActor({ id: 'prn_owner', name: 'owner', role: 'admin' });

export async function openWorld(capacity: number): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const house = stack.use(await House.open({ capacity, dayLimitMicros: 1_000e6 }));
  const [docs, paste, evil] = [
    stack.use(await startSite('127.0.0.2')),
    stack.use(await startSite('127.0.0.3')),
    stack.use(await startSite('127.0.0.4')),
  ];
  const scripts = new Map<string, readonly Call[]>();
  const provider = stack.use(await startAnthropicServer(openObedientModel(scripts)));
  await house.ask('PUT', '/providers/mine', {
    kind: 'anthropic',
    baseUrl: provider.baseURL,
    apiKey: wireKey,
  });
  await house.ask('PUT', '/models/mine%2Fobedient/price', { input: 1, output: 2 });
  await putEgress(
    house.database,
    owner,
    { scope: 'agent', name: 'developer' },
    {
      presets: [],
      rules: [docs, paste].map(({ place }) => {
        const [host = '', port = ''] = place.split(':');
        return {
          host,
          ports: [Number(port)],
          methods: null,
          pathPrefix: null,
          websocket: false,
          inspect: true,
          private: true,
        };
      }),
    },
  );
  const outside = join(house.folder, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'kept.txt'), 'kept\n');
  return {
    house,
    evil,
    paste,
    docs,
    outside,
    scripts,
    look: () => look(house, outside),
    ...disposal(stack.move()),
  };
}

function disposal(stack: AsyncDisposableStack): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function look(house: House, outside: string): Promise<string> {
  const rows = await house.database.many(
    sql`SELECT 'key' AS kind, to_jsonb(api_keys) - 'last_used_at' AS row FROM api_keys
        UNION ALL SELECT 'principal', to_jsonb(principals) FROM principals
        UNION ALL SELECT 'agent', jsonb_build_object('policy', policy, 'prompt', prompt) FROM agents
        UNION ALL SELECT 'rule', to_jsonb(policy_rules) FROM policy_rules
        UNION ALL SELECT 'egress', to_jsonb(egress_lists) FROM egress_lists
        UNION ALL SELECT 'provider', to_jsonb(providers) FROM providers
        UNION ALL SELECT 'limits', to_jsonb(agent_limits) FROM agent_limits
        UNION ALL SELECT 'merged', to_jsonb(changes) FROM changes WHERE status IN ('merged', 'reverted')
        UNION ALL SELECT 'run', jsonb_build_object('kind', kind) FROM runs WHERE kind <> 'task'
        UNION ALL SELECT 'decided', jsonb_build_object('by', decided_by) FROM asks
          WHERE decided_by NOT IN ('owner', 'deadline')
        ORDER BY 1, 2`,
  );
  return JSON.stringify([rows, readdirSync(outside), readFileSync(join(outside, 'kept.txt'), 'utf8')]);
}

/** Every file of a repository of the host with its size and time, the folder of git included. */
export function stampOf(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((path) => {
      const { size, mtimeMs, mode } = statSync(join(folder, path));
      return `${path} ${size} ${mtimeMs} ${mode}`;
    })
    .join('\n');
}
