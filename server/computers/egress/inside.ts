import { fileURLToPath } from 'node:url';
import type { NetworkSession } from '../sandbox.ts';

const insideFolder = '/run/mission';
const insidePort = 3128;
const bundle = `${insideFolder}/authorities.pem`;

/**
 * What a sandbox needs in order to reach a proxy.
 * @param authoritiesFile of the host: in PEM, all that commands shall trust
 */
export function describeInside(
  socketPath: string,
  authoritiesFile: string,
  extra: Record<string, string> = {},
): NetworkSession {
  return {
    socketPath,
    files: [
      { source: socketPath, target: `${insideFolder}/proxy.sock` },
      { source: authoritiesFile, target: bundle },
      {
        source: fileURLToPath(new URL('./bridge.ts', import.meta.url)),
        target: `${insideFolder}/bridge.mts`,
      },
    ],
    env: { ...environment, ...extra },
    bridge: [
      '/opt/node/bin/node',
      `${insideFolder}/bridge.mts`,
      `${insideFolder}/proxy.sock`,
      `${insidePort}`,
    ],
  };
}

/** Every tool has its own names for the same two facts. */
const proxyNames = [
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'],
  ...['CARGO_HTTP_PROXY', 'npm_config_proxy', 'npm_config_https_proxy', 'GLOBAL_AGENT_HTTP_PROXY'],
];
const authorityNames = [
  ...['NODE_EXTRA_CA_CERTS', 'npm_config_cafile', 'SSL_CERT_FILE', 'PIP_CERT', 'REQUESTS_CA_BUNDLE'],
  ...['CARGO_HTTP_CAINFO', 'GIT_SSL_CAINFO', 'CURL_CA_BUNDLE', 'AWS_CA_BUNDLE', 'DENO_CERT'],
];
const everywhere = (names: readonly string[], value: string) =>
  Object.fromEntries(names.map((name) => [name, value]));
const environment: Record<string, string> = {
  ...everywhere(proxyNames, `http://127.0.0.1:${insidePort}`),
  ...everywhere(['NO_PROXY', 'no_proxy', 'npm_config_noproxy'], 'localhost,127.0.0.1,::1'),
  ...everywhere(authorityNames, bundle),
  NODE_USE_ENV_PROXY: '1',
};
