import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegistryConfig } from '../computers/registry-config.ts';
import { prepareRuntimeFolder } from '../computers/runtime-folder.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { readKnownSecrets } from '../domain/credentials/known-secrets.ts';
import type { ProviderRegistry } from '../domain/credentials/provider-registry.ts';
import { openVault, type Vault } from '../domain/credentials/vault.ts';
import { readVaultKey } from '../domain/credentials/vault-key.ts';
import { Egress } from '../drivers/egress.ts';
import { openFetch } from '../models/network.ts';
import type { NamedSecret, Redactor } from '../redaction.ts';
import type { Base } from './base.ts';
import { fixedSecrets } from './fixed-secrets.ts';

/** The configuration with the vault's keys in the place of where they are kept. */
export async function withVaultKey(given: Config, database: Database, redactor: Redactor): Promise<Config> {
  const { vaultKey, hashicorpVault: hashicorp, proxy } = given;
  const config = {
    ...given,
    vaultKey: await readVaultKey(vaultKey, { database, hashicorp, fetch: openFetch(proxy) }),
  };
  redactor.know(fixedSecrets(config));
  return config;
}

export interface Secrets {
  vault: Vault;
  egress: Egress;
  /** A secret that will be stored: kept out of the log from now on. */
  expect(secret: NamedSecret): void;
}

const freshMs = 2_000;

/** The vault, what is known of secrets for log and proxy, and the way out of runs. */
export async function openSecrets(
  config: Config,
  parts: Base & { database: Database; registry: ProviderRegistry; redactor: Redactor },
): Promise<Secrets> {
  const { database, registry, redactor, log, started } = parts;
  const vault = openVault({ given: config.vaultKey, file: join(config.home, 'vault.key') });
  const fixed = fixedSecrets(config);
  let read: { at: number; secrets: Promise<NamedSecret[]> } | undefined;
  const secrets = (): Promise<NamedSecret[]> => {
    if (read !== undefined && performance.now() - read.at < freshMs) return read.secrets;
    const fresh = readKnownSecrets({ database, vault, registry, fixed });
    read = { at: performance.now(), secrets: fresh };
    fresh.then(
      (known) => redactor.know(known),
      () => {
        read = undefined;
      },
    );
    return fresh;
  };
  const known = await secrets();
  const folder = prepareRuntimeFolder(join(config.home, 'runtime'));
  const way = await readRegistryConfig();
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const expected: NamedSecret[] = [];
  return {
    vault,
    expect: (secret) => {
      expected.push(secret);
      redactor.know([...known, ...expected]);
      read = undefined;
    },
    egress: new Egress({ database, vault, log, folder, way, secrets }),
  };
}
