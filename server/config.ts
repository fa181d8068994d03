import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { type DiskSettings, diskSettings } from '../contract/disk.ts';
import { type HttpSettings, httpSettings, trustedProxies } from '../contract/edge.ts';
import { type ForgeSettings, forgeKinds } from '../contract/forges.ts';
import {
  defaultBaseUrl,
  normalizeBaseUrl,
  type ProviderKind,
  providerKind,
  providerName,
} from '../contract/models.ts';
import { type NotificationBody, notificationBody, notificationsInFile } from '../contract/notifications.ts';
import { chooseSandbox, type SandboxSettings, sandboxDrivers, sandboxSettings } from '../contract/sandbox.ts';
import { chooseTelemetry, type TelemetrySettings, telemetryVariables } from '../contract/telemetry.ts';
import { type WebhookSettings, webhookSettings } from '../contract/webhooks.ts';
import { homeFolder } from './config/compiled-code.ts';
import { type ProxySettings, readProxy } from './config/proxy.ts';
import { AppError, messageOf } from './errors.ts';

const positive = z.coerce.number().positive();

/** `mission.config.json` in MISSION_HOME: what is not said by the environment. Money in US dollars. */
const configFile = z.strictObject({
  port: z.number().int().min(0).max(65_535).optional(),
  agent: z
    .strictObject({
      model: z.string().min(1).optional(),
      /** What a run goes on with, in this order, where its model cannot be used. */
      fallbackModels: z.array(z.string().min(1)).max(10).optional(),
    })
    .optional(),
  /** Where models are called, by the name that stands before the slash; `keyVariable` names the environment's. */
  providers: z
    .record(
      providerName,
      z.strictObject({
        kind: providerKind,
        baseUrl: z.url({ protocol: /^https?$/ }).optional(),
        keyVariable: z.string().min(1).optional(),
        requestsPerMinute: z.number().int().min(1).optional(),
      }),
    )
    .optional(),
  budget: z
    .strictObject({
      runUsd: positive.optional(),
      runTokens: positive.optional(),
      dayUsd: positive.optional(),
    })
    .optional(),
  asks: z.strictObject({ deadlineHours: positive.optional() }).optional(),
  checks: z
    .strictObject({ timeoutMinutes: positive.optional(), redRounds: z.number().int().min(1).optional() })
    .optional(),
  commits: z
    .strictObject({
      name: z.string().min(1).optional(),
      email: z.string().min(1).optional(),
      /** The file of an SSH private key without a passphrase; what is delivered is signed with it. */
      signingKey: z.string().refine(isAbsolute, 'must be an absolute path').optional(),
    })
    .optional(),
  /** What kind of forge a host is, such as `"git.example.org": "gitea"`. */
  forges: z.record(z.string().min(1), z.enum(forgeKinds)).optional(),
  workers: z.strictObject({ capacity: z.number().int().min(1).max(1_000).optional() }).optional(),
  /** Where people open the dashboard, as links in notifications name it. */
  publicUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** Who is told when somebody is needed. */
  notifications: notificationsInFile.optional(),
  disk: diskSettings,
  sandbox: sandboxSettings,
  webhooks: webhookSettings,
  http: httpSettings,
  /** Prices and limits of models that the built-in table lacks or has wrong; see `server/models/prices.json`. */
  models: z.record(z.string(), z.unknown()).optional(),
});

const environment = z.object({
  ...telemetryVariables,
  MISSION_PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  MISSION_HOME: z.string().min(1).optional(),
  MISSION_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  MISSION_HOST: z.string().min(1).optional(),
  MISSION_TLS_CERT: z.string().refine(isAbsolute, 'must be an absolute path').optional(),
  MISSION_TLS_KEY: z.string().refine(isAbsolute, 'must be an absolute path').optional(),
  MISSION_TRUSTED_PROXIES: trustedProxies.optional(),
  MISSION_SANDBOX: z.enum(sandboxDrivers).optional(),
  MISSION_SANDBOX_IMAGE: z.string().min(1).optional(),
  DOCKER_HOST: z.string().optional(),
  MISSION_LOG: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).optional(),
  MISSION_LEASE_SECONDS: z.coerce.number().int().min(1).max(3_600).optional(),
  MISSION_RECORDINGS: z.string().min(1).optional(),
  DATABASE_URL: z.string().min(1).optional(),
  MISSION_ARTIFACT_BYTES: z.coerce.number().int().min(1).optional(),
  MISSION_VALIDATE_RESPONSES: z.enum(['0', '1']).optional(),
  GITHUB_TOKEN: z.string().min(1).optional(),
  GITLAB_TOKEN: z.string().min(1).optional(),
  GITEA_TOKEN: z.string().min(1).optional(),
  MISSION_VAULT_KEY: z.string().min(1).optional(),
  VAULT_ADDR: z.string().min(1).optional(),
  VAULT_TOKEN: z.string().min(1).optional(),
  VAULT_NAMESPACE: z.string().min(1).optional(),
  MISSION_RECORD: z.string().refine(isAbsolute, 'must be an absolute path').optional(),
});

export type Role = 'api' | 'worker';

export interface ConfiguredProvider {
  name: string;
  kind: ProviderKind;
  baseURL: string;
  apiKey: string | null;
  requestsPerMinute: number | null;
}

export interface Config {
  home: string;
  host: string;
  port: number;
  logLevel: string;
  roles: readonly Role[];
  /** PostgreSQL's URL; null for the embedded one. */
  databaseUrl: string | null;
  unsafeNoSandbox: boolean;
  sandbox: SandboxSettings;
  leaseSeconds: number;
  recordings: string;
  agentModel: string;
  /** What the environment and the file say of providers; people add others by the API. */
  providers: ConfiguredProvider[];
  proxy: ProxySettings;
  /** Keys that seal and open secrets, or where they are kept; null for the file in `home`. */
  vaultKey: string | null;
  /** Where HashiCorp Vault is; null where it is not used. */
  hashicorpVault: { address: string; token: string; namespace: string | null } | null;
  /** Where a conversation with a provider is written down; null for nowhere. */
  record: string | null;
  fallbackModels: string[];
  models: Record<string, unknown>;
  runLimitMicros: number;
  runLimitTokens: number;
  dayLimitMicros: number;
  askDeadlineMs: number;
  checkTimeoutMs: number;
  redRounds: number;
  capacity: number;
  identity: { name: string; email: string };
  signingKey: string | null;
  forges: ForgeSettings;
  /** Without a slash at its end; null for the address that the server listens on. */
  publicUrl: string | null;
  notifications: Record<string, NotificationBody>;
  disk: DiskSettings;
  webhooks: WebhookSettings;
  /** The largest artifact that may be sent. */
  artifactBytes: number;
  /** Every answer of the API is held against its OpenAPI document; for tests. */
  validateAnswers: boolean;
  /** PEM files; null where TLS is not ours to speak. */
  tls: { certificate: string; key: string } | null;
  /** Addresses and CIDRs whose X-Forwarded headers are believed. */
  trustedProxies: readonly string[];
  http: HttpSettings;
  telemetry: TelemetrySettings;
}

/**
 * Reads environment, arguments and file once.
 * @throws AppError invalid_request naming the setting that is wrong, and where it stands
 */
export function readConfig(env: NodeJS.ProcessEnv, argv: readonly string[]): Config {
  const set: Record<string, string | undefined> = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = environment.safeParse(set);
  if (!parsed.success) throw badSetting('the environment', parsed.error);
  const environmentValues = parsed.data;
  const home = homeFolder(set);
  if (!isAbsolute(home))
    throw new AppError('invalid_request', `MISSION_HOME must be an absolute path, not ${home}`);
  const file = readConfigFile(join(home, 'mission.config.json'));
  const options = readArguments(argv);
  const micros = (dollars: number) => Math.round(dollars * 1e6);
  return {
    home,
    host: environmentValues.MISSION_HOST ?? '127.0.0.1',
    port: environmentValues.MISSION_PORT ?? file.port ?? 4700,
    logLevel: environmentValues.MISSION_LOG ?? 'info',
    ...options,
    databaseUrl: environmentValues.DATABASE_URL ?? null,
    leaseSeconds: environmentValues.MISSION_LEASE_SECONDS ?? 15,
    recordings: environmentValues.MISSION_RECORDINGS ?? join(import.meta.dirname, '..', 'recordings'),
    agentModel: file.agent?.model ?? 'anthropic/claude-sonnet-4-5',
    providers: readProviders(set, file.providers ?? {}),
    proxy: readProxy(set),
    vaultKey: environmentValues.MISSION_VAULT_KEY ?? null,
    hashicorpVault: readHashicorpVault(environmentValues),
    record: environmentValues.MISSION_RECORD ?? null,
    fallbackModels: file.agent?.fallbackModels ?? [],
    models: file.models ?? {},
    runLimitMicros: micros(file.budget?.runUsd ?? 5),
    runLimitTokens: file.budget?.runTokens ?? 10_000_000,
    dayLimitMicros: micros(file.budget?.dayUsd ?? 25),
    askDeadlineMs: (file.asks?.deadlineHours ?? 12) * 3_600_000,
    checkTimeoutMs: (file.checks?.timeoutMinutes ?? 30) * 60_000,
    redRounds: file.checks?.redRounds ?? 3,
    capacity: file.workers?.capacity ?? 4,
    forges: { hosts: file.forges ?? {}, tokens: readTokens(environmentValues) },
    identity: {
      name: file.commits?.name ?? 'Mission Control',
      email: file.commits?.email ?? 'mission-control@localhost',
    },
    signingKey: file.commits?.signingKey ?? null,
    publicUrl: (environmentValues.MISSION_PUBLIC_URL ?? file.publicUrl)?.replace(/\/+$/, '') ?? null,
    notifications: readNotifications(set, file.notifications ?? {}),
    disk: file.disk,
    sandbox: chooseSandbox(environmentValues, file.sandbox),
    webhooks: file.webhooks,
    artifactBytes: environmentValues.MISSION_ARTIFACT_BYTES ?? 512 * 1024 ** 2,
    validateAnswers: environmentValues.MISSION_VALIDATE_RESPONSES === '1',
    tls: readTls(environmentValues),
    trustedProxies: environmentValues.MISSION_TRUSTED_PROXIES ?? [],
    http: file.http,
    telemetry: chooseTelemetry(environmentValues),
  };
}

function readHashicorpVault(values: z.infer<typeof environment>): Config['hashicorpVault'] {
  const { VAULT_ADDR: address, VAULT_TOKEN: token, VAULT_NAMESPACE: namespace } = values;
  return address === undefined || token === undefined
    ? null
    : { address, token, namespace: namespace ?? null };
}

/** @throws AppError invalid_request where there is one without the other */
function readTls(values: z.infer<typeof environment>): Config['tls'] {
  const { MISSION_TLS_CERT: certificate, MISSION_TLS_KEY: key } = values;
  if (certificate === undefined && key === undefined) return null;
  if (certificate !== undefined && key !== undefined) return { certificate, key };
  throw new AppError(
    'invalid_request',
    'MISSION_TLS_CERT and MISSION_TLS_KEY are given together or not at all',
  );
}

/** @throws AppError invalid_request that names the setting and never its value */
function readNotifications(
  set: Record<string, string | undefined>,
  file: z.infer<typeof notificationsInFile>,
): Record<string, NotificationBody> {
  const resolve = (name: string, value: string | undefined) => {
    const variable = value?.match(/^env:(\w+)$/)?.[1];
    if (variable === undefined) return value;
    const found = set[variable];
    if (found !== undefined) return found;
    throw new AppError(
      'invalid_request',
      `the notification ${name} in mission.config.json wants ${variable}, which is not set: export it, or write the value there`,
    );
  };
  return Object.fromEntries(
    Object.entries(file).map(([name, body]) => {
      const parsed = notificationBody.safeParse({
        ...body,
        url: resolve(name, body.url),
        secret: resolve(name, body.secret),
        token: resolve(name, body.token),
      });
      if (!parsed.success) throw badSetting(`the notification ${name} in mission.config.json`, parsed.error);
      return [name, parsed.data];
    }),
  );
}

/** Providers that are known by their key's variable alone. */
const knownProviders: Record<string, { kind: ProviderKind; variable: string; baseUrl?: string }> = {
  anthropic: { kind: 'anthropic', variable: 'ANTHROPIC' },
  openai: { kind: 'openai', variable: 'OPENAI' },
  google: { kind: 'google', variable: 'GOOGLE_GENERATIVE_AI' },
  groq: { kind: 'openai-compatible', variable: 'GROQ', baseUrl: 'https://api.groq.com/openai/v1' },
};

/** @throws AppError invalid_request where an address is none */
function readProviders(
  set: Record<string, string | undefined>,
  file: NonNullable<z.infer<typeof configFile>['providers']>,
): ConfiguredProvider[] {
  const known = Object.entries(knownProviders)
    .filter(([name, { variable }]) => set[`${variable}_API_KEY`] !== undefined && !(name in file))
    .map(([name, { kind, variable, baseUrl }]) => {
      const said = set[`${variable}_BASE_URL`] ?? baseUrl;
      return { name, kind, baseURL: addressOf(name, kind, said), apiKey: set[`${variable}_API_KEY`] ?? null };
    });
  const named = Object.entries(file).map(([name, { kind, baseUrl, keyVariable, requestsPerMinute }]) => {
    const prefix = knownProviders[name]?.variable ?? name.toUpperCase().replaceAll('-', '_');
    const apiKey = set[keyVariable ?? `${prefix}_API_KEY`] ?? null;
    const baseURL = addressOf(
      name,
      kind,
      baseUrl ?? set[`${prefix}_BASE_URL`] ?? knownProviders[name]?.baseUrl,
    );
    return { name, kind, baseURL, apiKey, requestsPerMinute: requestsPerMinute ?? null };
  });
  return [...known.map((provider) => ({ ...provider, requestsPerMinute: null })), ...named];
}

function addressOf(name: string, kind: ProviderKind, said: string | undefined): string {
  const url = said ?? defaultBaseUrl(kind);
  if (url !== null && z.url({ protocol: /^https?$/ }).safeParse(url).success)
    return normalizeBaseUrl(kind, url);
  throw new AppError(
    'invalid_request',
    `the provider ${name} needs the address of its API, such as http://127.0.0.1:11434/v1, not ${url ?? 'none'}`,
  );
}

function readTokens(values: z.infer<typeof environment>): ForgeSettings['tokens'] {
  return {
    ...(values.GITHUB_TOKEN === undefined ? {} : { github: values.GITHUB_TOKEN }),
    ...(values.GITLAB_TOKEN === undefined ? {} : { gitlab: values.GITLAB_TOKEN }),
    ...(values.GITEA_TOKEN === undefined ? {} : { gitea: values.GITEA_TOKEN }),
  };
}

function readArguments(argv: readonly string[]): { roles: readonly Role[]; unsafeNoSandbox: boolean } {
  let roles: readonly Role[] = ['api', 'worker'];
  let unsafeNoSandbox = false;
  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--unsafe-no-sandbox') unsafeNoSandbox = true;
    else if (argument === '--roles') roles = readRoles(rest.shift() ?? '');
    else if (argument.startsWith('--roles=')) roles = readRoles(argument.slice('--roles='.length));
    else
      throw new AppError(
        'invalid_request',
        `${argument} is no option; there are --roles api,worker and --unsafe-no-sandbox`,
      );
  }
  return { roles, unsafeNoSandbox };
}

function readRoles(text: string): Role[] {
  const parsed = z
    .array(z.enum(['api', 'worker']))
    .min(1)
    .safeParse(text.split(','));
  if (!parsed.success)
    throw new AppError('invalid_request', `--roles takes api, worker or both (api,worker), not "${text}"`);
  return parsed.data;
}

function readConfigFile(path: string): z.infer<typeof configFile> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return configFile.parse({});
    throw new AppError('invalid_request', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    const parsed = configFile.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw badSetting(path, parsed.error);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new AppError('invalid_request', `${path} is not JSON: ${error.message}`, { cause: error });
  }
}

function badSetting(where: string, error: z.ZodError): AppError {
  const issues = error.issues.map((issue) => {
    const reasons =
      issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message) : [issue.message];
    return `${issue.path.join('.') || 'the whole'}: ${reasons.join(', ')}`;
  });
  return new AppError('invalid_request', `${where} has a setting that cannot be used: ${issues.join('; ')}`);
}
