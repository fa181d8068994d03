import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { makeCertificates } from '../certificates.ts';

export interface Visit {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Servers on loopback that stand for the world outside, over HTTP and HTTPS, and keep what they are sent. */
export interface World extends AsyncDisposable {
  readonly visits: Visit[];
  readonly port: number;
  readonly securePort: number;
  /** In PEM, and as a file. */
  readonly authority: string;
  readonly authorityFile: string;
}

/** @param reply called after the visit is kept; echoes the authorization where it is not given */
export async function openWorld(
  reply: (visit: Visit, response: ServerResponse) => void = echo,
): Promise<World> {
  const visits: Visit[] = [];
  const certificates = makeCertificates();
  const folder = mkdtempSync(join(tmpdir(), 'world-'));
  const authorityFile = join(folder, 'authority.pem');
  writeFileSync(authorityFile, certificates.authority);
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    text(request).then(
      (body) => {
        const { method = '', url = '', headers } = request;
        const visit = { method, url, headers, body };
        visits.push(visit);
        reply(visit, response);
      },
      // It broke off in the midst of its body: nothing whole came.
      () => response.destroy(),
    );
  };
  const plain = createServer(serve);
  const secure = createSecureServer(certificates.server, serve);
  for (const server of [plain, secure]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const portOf = (server: typeof plain | typeof secure) => (server.address() as AddressInfo).port;
  return {
    visits,
    port: portOf(plain),
    securePort: portOf(secure),
    authority: certificates.authority,
    authorityFile,
    async [Symbol.asyncDispose]() {
      for (const server of [plain, secure]) {
        server.closeAllConnections();
        server.close();
      }
      rmSync(folder, { recursive: true });
    },
  };
}

function echo(visit: Visit, response: ServerResponse): void {
  response.end(`${visit.method} ${visit.url} ${visit.headers.authorization ?? 'without'}`);
}

/** Commands in a sandbox go to the world by the proxy, though it is on loopback. */
export const curl = (args: string) => `NO_PROXY= no_proxy= curl -sS -m 20 --noproxy '' ${args}`;
