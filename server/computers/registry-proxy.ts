import { type EgressRule, egressRule } from '../../contract/egress.ts';
import type { Logger } from '../log.ts';
import { type EgressSession, openEgressSession } from './egress/egress-proxy.ts';
import { rulesOfPresets } from './egress/rules.ts';
import { SecretIndex } from './egress/secret-index.ts';
import type { RegistryConfig } from './registry-config.ts';
import type { NetworkSession } from './sandbox.ts';

export type RegistryProxy = EgressSession & {
  /** The same as options of bwrap and variables. */
  inside: { binds: string[]; env: Record<string, string> };
};

/**
 * The only way out of a sandbox whose network is `registry`: a session that lets the listed registries through and
 * answers 403 to everything else. What is installed from them is public; it never reads what passes.
 * @param folder private, and gone with the server
 */
export async function openRegistryProxy(options: {
  log: Logger;
  folder: string;
  config: RegistryConfig;
}): Promise<RegistryProxy> {
  const { log, folder, config } = options;
  const policy = { refusal: null, rules: rulesOf(config), brokered: [] };
  const none = new SecretIndex([]);
  const session = await openEgressSession({
    log,
    folder,
    way: config,
    env: { npm_config_registry: config.npmRegistry },
    ports: {
      policy: async () => policy,
      fill: async () => null,
      secrets: async () => none,
      record: ({ host, port, reason }) => {
        if (reason !== null)
          log.info({ host, port, reason }, 'a connection to a registry did not come about');
      },
    },
  });
  return { ...session, inside: { binds: bindsOf(session), env: session.env } };
}

/** The files of a session as options of bwrap. */
export const bindsOf = (session: NetworkSession): string[] =>
  session.files.flatMap(({ source, target }) => ['--ro-bind', source, target]);

/** What the machine is configured for may be inside its own network. */
function rulesOf(config: RegistryConfig): EgressRule[] {
  const own = [new URL(config.npmRegistry).host, ...config.extraHosts].flatMap((entry) => {
    const [, host, port] = /^([a-z0-9.-]+)(?::(\d{1,5}))?$/i.exec(entry) ?? [];
    const parsed = egressRule.safeParse({ host, private: true, ...(port ? { ports: [Number(port)] } : {}) });
    return parsed.success ? [parsed.data] : [];
  });
  return [...own, ...rulesOfPresets(['npm', 'pypi', 'crates', 'go'])].map((rule) => ({
    ...rule,
    inspect: false,
  }));
}
