/** Where a command of the registry preset may connect to: exact names and ports, nothing else. */
export interface AllowedTarget {
  host: string;
  ports: number[];
}

const publicRegistries = [
  'registry.npmjs.org',
  'pypi.org',
  'files.pythonhosted.org',
  'index.crates.io',
  'static.crates.io',
  'crates.io',
  'proxy.golang.org',
  'sum.golang.org',
];

/** @param extraHosts `host` or `host:port` of the registries that the machine is configured for */
export function listAllowedTargets(extraHosts: string[]): AllowedTarget[] {
  const extra = extraHosts.flatMap((entry): AllowedTarget[] => {
    const [, host, port] = /^([a-z0-9.-]+)(?::(\d{1,5}))?$/i.exec(entry) ?? [];
    if (!host) return [];
    return [{ host: host.toLowerCase(), ports: port ? [Number(port)] : [443, 80] }];
  });
  return [...publicRegistries.map((host) => ({ host, ports: [443, 80] })), ...extra];
}

/**
 * Judges the authority of a proxy request, `host:port`. Names are compared whole and without regard to case;
 * every unusual spelling (trailing dot, user part, brackets, control characters, other digits) is refused.
 * @returns the target to connect to, spelt from the list and never from the request
 */
export function judgeTarget(
  authority: string,
  allowed: AllowedTarget[],
): { host: string; port: number } | undefined {
  const [, name, digits] = /^([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*):([1-9]\d{0,4})$/.exec(authority) ?? [];
  if (!name || authority.endsWith('\n')) return undefined;
  const port = Number(digits);
  const target = allowed.find(({ host, ports }) => host === name.toLowerCase() && ports.includes(port));
  return target && { host: target.host, port };
}
