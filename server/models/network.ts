/** As the environment says it, in curl's words: `http://proxy:3128`, and `localhost,.internal` to go past it. */
export interface ProxySettings {
  httpProxy?: string | undefined;
  httpsProxy?: string | undefined;
  noProxy?: string | undefined;
}

/** Runs keep their connection over the minutes that a command may take between two calls. */
const keepAliveMs = 120_000;

/**
 * How requests leave for providers: through the proxy where one is set, over connections that are kept. Its
 * library is loaded by the first request, so that a server that only replays recordings never holds it.
 * A private certificate authority is Node's to know: `NODE_EXTRA_CA_CERTS=FILE` at its start.
 */
export function openFetch(proxy: ProxySettings): typeof fetch {
  let opened: Promise<typeof fetch> | undefined;
  return async (input, init) => {
    opened ??= openDispatched(proxy);
    return (await opened)(input, init);
  };
}

async function openDispatched({ httpProxy, httpsProxy, noProxy }: ProxySettings): Promise<typeof fetch> {
  const { EnvHttpProxyAgent, fetch: send } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    // An empty text is given where none is set, or the library would read the environment by itself.
    httpProxy: httpProxy ?? '',
    httpsProxy: httpsProxy ?? '',
    noProxy: noProxy ?? '',
    keepAliveTimeout: keepAliveMs,
    // How long a provider may be silent is the caller's to judge.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return async (input, init) => {
    const { method, headers, body, signal } = init ?? {};
    const response = await send(String(input), {
      method: method ?? 'GET',
      headers: [...new Headers(headers).entries()],
      body: typeof body === 'string' ? body : null,
      signal: signal ?? null,
      dispatcher,
      redirect: init?.redirect === 'manual' ? 'manual' : 'error',
    });
    return new Response(response.body, {
      status: response.status,
      statusText: response.statusText,
      headers: [...response.headers.entries()],
    });
  };
}
