import { homedir } from 'node:os';
import { join } from 'node:path';

export const unitName = 'mission-control.service';

export interface ServicePlan {
  /** The unit's file. */
  unit: string;
  /** Where keys are: `NAME=value` lines, mode 0600. */
  environment: string;
  text: string;
}

/** What a systemd user unit for this checkout, this home and this Node says. Nothing is read or written. */
export function planService(
  env: NodeJS.ProcessEnv,
  place: { home: string; node: string; root: string },
): ServicePlan {
  const configuration = env.XDG_CONFIG_HOME?.startsWith('/')
    ? env.XDG_CONFIG_HOME
    : join(homedir(), '.config');
  const environment = join(place.home, 'service.env');
  const text = `[Unit]
Description=Mission Control
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
WorkingDirectory=${specifiers(place.root)}
Environment=${word(`MISSION_HOME=${place.home}`)}
EnvironmentFile=-${specifiers(environment)}
ExecStart=${argument(place.node)} ${argument(join(place.root, 'server', 'main.ts'))}
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec=60
UMask=0077

[Install]
WantedBy=default.target
`;
  return { unit: join(configuration, 'systemd', 'user', unitName), environment, text };
}

/** Variables of this shell that the server reads; a service sees none of them by itself. */
const wanted =
  /^(MISSION_(?!HOME$)\w+|\w+_(API_KEY|BASE_URL)|DATABASE_URL|(HTTPS?|NO)_PROXY|NODE_EXTRA_CA_CERTS)$/;

/** @returns the file's text, and the names in it for people to see: never the values */
export function writeEnvironment(env: NodeJS.ProcessEnv): { text: string; names: string[] } {
  const found = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      wanted.test(entry[0]) && entry[1] !== undefined && !/[\r\n]/.test(entry[1]),
  );
  const lines = found.map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, '\\$&')}"\n`);
  const head =
    '# Read by the service when it starts. NAME="value", one a line; for keys of providers, say.\n';
  return { text: head + lines.join(''), names: found.map(([name]) => name) };
}

const specifiers = (text: string) => text.replaceAll('%', '%%');

/** One word of a unit's line, whatever is in it. */
function word(text: string): string {
  return `"${specifiers(text).replace(/["\\]/g, '\\$&')}"`;
}

/** In a command `$` begins a variable; elsewhere it is a character like any other. */
function argument(text: string): string {
  return word(text).replaceAll('$', '$$$$');
}
