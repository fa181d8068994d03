import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { egressPreset } from '../../contract/egress.ts';
import type { Way } from '../computers/egress/dial.ts';
import { type EgressSession, openEgressSession } from '../computers/egress/egress-proxy.ts';
import type { EgressEntry, EgressPolicy, FilledHeader } from '../computers/egress/ports.ts';
import { rulesOfPresets } from '../computers/egress/rules.ts';
import { type KnownSecret, SecretIndex } from '../computers/egress/secret-index.ts';
import type { NetworkSession } from '../computers/sandbox.ts';
import type { Database } from '../database/database.ts';
import { type EgressHolder, fillCredential, readEgressState } from '../domain/credentials/broker.ts';
import type { Vault } from '../domain/credentials/vault.ts';
import { recordRequest } from '../domain/egress/requests.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';

export interface EgressParts {
  database: Database;
  vault: Vault;
  log: Logger;
  /** Private to this server, and gone with it. */
  folder: string;
  way: Way;
  /** Every secret that the server holds now. */
  secrets(): Promise<readonly KnownSecret[]>;
}

/** What else has a word in what leaves, and hears of what came back. */
export interface EgressWatch {
  mayReach(host: string): Promise<{ reason: string } | null>;
  answered(host: { host: string; private: boolean; credential: string | null }): void;
}

/** The way out of one run's commands. */
export interface RunEgress extends AsyncDisposable {
  watch: EgressWatch | null;
  /** Whether anything may be reached now: where nothing may, commands have no network at all. */
  isOpen(): Promise<boolean>;
  /** For the next command. */
  network(): Promise<NetworkSession | 'none'>;
}

/** Opens the proxies of runs, each at its first use. */
export class Egress {
  readonly #parts: EgressParts;
  #index = { of: '', index: new SecretIndex([]) };

  constructor(parts: EgressParts) {
    this.#parts = parts;
  }

  open(run: EgressHolder & { taskId: string; agent: string }): RunEgress {
    const { database, log } = this.#parts;
    let session: Promise<EgressSession> | undefined;
    let recorded: Promise<void> = Promise.resolve();
    const readPolicy = () => this.#readPolicy(run);
    const egress: RunEgress = {
      watch: null,
      isOpen: async () => {
        const { rules, brokered } = await readPolicy();
        return rules.length + brokered.length > 0;
      },
      network: async () => {
        if (!(await egress.isOpen())) return 'none';
        session ??= this.#openSession(run, egress, readPolicy, (entry) => {
          if (entry.decision === 'allowed' && entry.status !== null) egress.watch?.answered(entry);
          recorded = recorded
            .then(() => recordRequest(database, run, entry))
            .catch((error: unknown) => {
              log.error(
                { message: messageOf(error), run: run.runId },
                'a request of a sandbox was not recorded',
              );
            });
        });
        session.catch(() => {
          session = undefined;
        });
        return session;
      },
      async [Symbol.asyncDispose]() {
        await (await session)?.[Symbol.asyncDispose]();
        await recorded;
      },
    };
    return egress;
  }

  async #openSession(
    run: EgressHolder,
    egress: RunEgress,
    policy: () => Promise<EgressPolicy>,
    record: (entry: EgressEntry) => void,
  ): Promise<EgressSession> {
    const { log, way } = this.#parts;
    const folder = await mkdtemp(join(this.#parts.folder, 'e-'));
    const session = await openEgressSession({
      log,
      folder,
      way,
      ports: {
        policy,
        fill: (name): Promise<FilledHeader | null> => fillCredential(this.#parts, run, name),
        secrets: () => this.#readSecrets(),
        record,
        mayLeave: async ({ host }) => (await egress.watch?.mayReach(host))?.reason ?? null,
      },
    });
    return {
      ...session,
      async [Symbol.asyncDispose]() {
        await session[Symbol.asyncDispose]();
        await rm(folder, { recursive: true, force: true });
      },
    };
  }

  async #readPolicy(run: EgressHolder): Promise<EgressPolicy> {
    const { held, lists, grants } = await readEgressState(this.#parts.database, run);
    return {
      refusal: held ? null : 'the run is no longer held by this worker',
      rules: lists.flatMap(({ presets, rules }) => [
        ...rules,
        ...rulesOfPresets(z.array(egressPreset).catch([]).parse(presets)),
      ]),
      brokered: grants,
    };
  }

  /** The same index as long as the secrets are the same: what was seen of them is counted by it. */
  async #readSecrets(): Promise<SecretIndex> {
    const secrets = await this.#parts.secrets();
    const of = JSON.stringify(secrets);
    if (this.#index.of !== of) this.#index = { of, index: new SecretIndex(secrets) };
    return this.#index.index;
  }
}
