import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { WebhookHosts } from '../../domain/webhooks/addresses.ts';
import { HostRefused } from '../post.ts';

/** As the environment says it, in curl's words. */
interface ProxySettings {
  httpProxy?: string | undefined;
  httpsProxy?: string | undefined;
  noProxy?: string | undefined;
}

/**
 * A fetch that connects to nothing but what may be sent to. A name is resolved once for a connection, its
 * addresses are judged, and the connection goes to just those: what it resolves to the next moment changes
 * nothing. Behind a proxy the proxy resolves, and its rules hold; the name is judged here all the same.
 */
export function openGuardedFetch(hosts: WebhookHosts, proxy: ProxySettings): typeof fetch {
  let opened: Promise<typeof fetch> | undefined;
  return async (input, init) => {
    const { hostname } = new URL(String(input));
    const reason = hosts.judge(hostname);
    if (reason !== null) throw refusal(hostname, reason);
    opened ??= openDispatched(hosts, proxy);
    return (await opened)(input, init);
  };
}

async function openDispatched(hosts: WebhookHosts, proxy: ProxySettings): Promise<typeof fetch> {
  const { EnvHttpProxyAgent, fetch: send } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    // An empty text is given where none is set, or the library would read the environment by itself.
    httpProxy: proxy.httpProxy ?? '',
    httpsProxy: proxy.httpsProxy ?? '',
    noProxy: proxy.noProxy ?? '',
    connect: { lookup: judgingLookup(hosts), timeout: 5_000 },
    maxResponseSize: 64 * 1024,
  });
  return async (input, init) => {
    const response = await send(String(input), {
      method: init?.method ?? 'GET',
      headers: [...new Headers(init?.headers).entries()],
      body: typeof init?.body === 'string' ? init.body : null,
      signal: init?.signal ?? null,
      dispatcher,
      redirect: 'manual',
    });
    await response.body?.cancel();
    return new Response(null, { status: statusOf(response), headers: [...response.headers.entries()] });
  };
}

/** A status that a Response may be made with. */
function statusOf({ status }: { status: number }): number {
  return status >= 200 && status <= 599 ? status : 599;
}

function judgingLookup(hosts: WebhookHosts): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const reason = hosts.judgeResolved(
        hostname,
        addresses.map(({ address }) => address),
      );
      if (reason !== null) return callback(refusal(hostname, reason), []);
      const [first] = addresses;
      if (options.all === true || first === undefined) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function refusal(hostname: string, reason: string): HostRefused {
  return new HostRefused(`nothing is sent to ${hostname}: ${reason}`);
}
