import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect as netConnect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';

/** Where a proxy listens. */
export type Listening = { path: string } | { host: string; port: number };

/** One way to reach an origin: opens a connection on which requests to it can be sent. */
export interface Way {
  name: string;
  /** In front of the path of each request: an absolute address for a plain proxy. */
  prefix: string;
  connect(): Promise<Socket>;
}

export interface Origin {
  host: string;
  port: number;
}

export const directly = (name: string, origin: Origin): Way => ({
  name,
  prefix: '',
  connect: () => opened(netConnect(origin)),
});

export const plainThrough = (name: string, proxy: Listening, origin: Origin): Way => ({
  name,
  prefix: `http://${origin.host}:${origin.port}`,
  connect: () => opened(netConnect(proxy)),
});

/** TLS to the origin, through a tunnel where there is a proxy. @param ca whom the client trusts */
export const securely = (name: string, proxy: Listening | null, origin: Origin, ca: string): Way => ({
  name,
  prefix: '',
  async connect() {
    const socket = proxy === null ? await opened(netConnect(origin)) : await tunnel(proxy, origin);
    const secured = tlsConnect({ socket, servername: origin.host, ca });
    await once(secured, 'secureConnect');
    return secured;
  },
});

async function opened(socket: Socket): Promise<Socket> {
  socket.setNoDelay(true);
  await once(socket, 'connect');
  return socket;
}

async function tunnel(proxy: Listening, { host, port }: Origin): Promise<Socket> {
  const address = 'path' in proxy ? { socketPath: proxy.path } : proxy;
  const asking = httpRequest({ ...address, method: 'CONNECT', path: `${host}:${port}`, agent: false });
  asking.end();
  const [response, socket]: [{ statusCode: number }, Socket] = await once(asking, 'connect').then(
    ([head, connection]) => [head, connection],
  );
  if (response.statusCode !== 200) throw new Error(`the proxy answered ${response.statusCode}`);
  return socket;
}

export interface Peer extends AsyncDisposable {
  listening: Listening;
}

/** The proxy of Anthropic's sandbox-runtime. @returns why not, where it is not here */
export async function openPeerProxy(origin: Origin, authority: string): Promise<Peer | string> {
  const file = join(
    import.meta.dirname,
    '../node_modules/@anthropic-ai/sandbox-runtime/dist/sandbox/http-proxy.js',
  );
  if (!existsSync(file)) return 'the proxy of sandbox-runtime is not installed';
  const peer: { createHttpProxyServer(options: object): Server } = await import(file);
  const server = peer.createHttpProxyServer({
    filter: (port: number, host: string) => port > 0 && host === origin.host,
    tlsTerminateUpstreamCA: authority,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    listening: { host: '127.0.0.1', port },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
