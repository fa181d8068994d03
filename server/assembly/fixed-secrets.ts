import type { Config } from '../config.ts';
import type { NamedSecret } from '../redaction.ts';

/** What the environment and the configuration file hold that nobody may see. */
export function fixedSecrets(config: Config): NamedSecret[] {
  const { providers, forges, notifications, vaultKey, databaseUrl, proxy, telemetry } = config;
  const passwords = [databaseUrl, proxy.httpProxy, proxy.httpsProxy, telemetry.tracing?.url].flatMap(
    (url) => {
      const password = url == null ? '' : (URL.parse(url)?.password ?? '');
      return password === ''
        ? []
        : [{ name: 'a password of the configuration', value: decodeURIComponent(password) }];
    },
  );
  const { metricsToken } = telemetry;
  return [
    ...(metricsToken === null ? [] : [{ name: 'MISSION_METRICS_TOKEN', value: metricsToken }]),
    ...providers.flatMap(({ name, apiKey }) =>
      apiKey === null ? [] : [{ name: `the key of ${name}`, value: apiKey }],
    ),
    ...Object.entries(forges.tokens).map(([kind, value]) => ({ name: `the token of ${kind}`, value })),
    ...Object.entries(notifications).flatMap(([name, { url, secret, token }]) =>
      [secret, token, URL.parse(url)?.pathname].flatMap((value) =>
        value === undefined || value.length < 20 ? [] : [{ name: `the notification ${name}`, value }],
      ),
    ),
    ...(vaultKey ?? '')
      .split(/[\s,]+/)
      .filter((key) => /^[A-Za-z0-9+/=]{32,}$/.test(key))
      .map((value) => ({ name: 'the vault key', value })),
    ...passwords,
    ...(config.hashicorpVault === null
      ? []
      : [{ name: 'the token of HashiCorp Vault', value: config.hashicorpVault.token }]),
  ];
}
