import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { AppError, messageOf } from './errors.ts';

const positive = z.coerce.number().positive();

/** `mission.config.json` in MISSION_HOME: what is not said by the environment. Money in US dollars. */
const configFile = z.strictObject({
  port: z.number().int().min(0).max(65_535).optional(),
  agent: z.strictObject({ model: z.string().min(1).optional() }).optional(),
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
  commits: z.strictObject({ name: z.string().min(1), email: z.string().min(1) }).optional(),
  workers: z.strictObject({ capacity: z.number().int().min(1).max(1_000).optional() }).optional(),
  /** Prices and limits of models that the built-in table lacks or has wrong; see `server/models/prices.json`. */
  models: z.record(z.string(), z.unknown()).optional(),
});

const environment = z.object({
  MISSION_HOME: z.string().min(1).optional(),
  MISSION_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  MISSION_HOST: z.string().min(1).optional(),
  MISSION_LOG: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).optional(),
  MISSION_LEASE_SECONDS: z.coerce.number().min(1).max(3_600).optional(),
  MISSION_RECORDINGS: z.string().min(1).optional(),
  DATABASE_URL: z.string().min(1).optional(),
  ANTHROPIC_API_KEY: z.string().min(1).optional(),
  ANTHROPIC_BASE_URL: z.url().optional(),
});

export type Role = 'api' | 'worker';

export interface Config {
  home: string;
  host: string;
  port: number;
  logLevel: string;
  roles: readonly Role[];
  /** PostgreSQL's URL; null for the embedded one. */
  databaseUrl: string | null;
  unsafeNoSandbox: boolean;
  leaseSeconds: number;
  recordings: string;
  agentModel: string;
  anthropic: { apiKey: string; baseURL?: string } | null;
  models: Record<string, unknown>;
  runLimitMicros: number;
  runLimitTokens: number;
  dayLimitMicros: number;
  askDeadlineMs: number;
  checkTimeoutMs: number;
  redRounds: number;
  capacity: number;
  identity: { name: string; email: string };
}

/**
 * Reads environment, arguments and file once.
 * @throws AppError invalid_request naming the setting that is wrong, and where it stands
 */
export function readConfig(env: NodeJS.ProcessEnv, argv: readonly string[]): Config {
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = environment.safeParse(set);
  if (!parsed.success) throw badSetting('the environment', parsed.error);
  const environmentValues = parsed.data;
  const home = environmentValues.MISSION_HOME ?? join(homedir(), '.mission-control');
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
    anthropic:
      environmentValues.ANTHROPIC_API_KEY === undefined
        ? null
        : {
            apiKey: environmentValues.ANTHROPIC_API_KEY,
            ...(environmentValues.ANTHROPIC_BASE_URL === undefined
              ? {}
              : { baseURL: environmentValues.ANTHROPIC_BASE_URL }),
          },
    models: file.models ?? {},
    runLimitMicros: micros(file.budget?.runUsd ?? 5),
    runLimitTokens: file.budget?.runTokens ?? 10_000_000,
    dayLimitMicros: micros(file.budget?.dayUsd ?? 25),
    askDeadlineMs: (file.asks?.deadlineHours ?? 12) * 3_600_000,
    checkTimeoutMs: (file.checks?.timeoutMinutes ?? 30) * 60_000,
    redRounds: file.checks?.redRounds ?? 3,
    capacity: file.workers?.capacity ?? 4,
    identity: file.commits ?? { name: 'Mission Control', email: 'mission-control@localhost' },
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
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
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
  const issues = error.issues.map((issue) => `${issue.path.join('.') || 'the whole'}: ${issue.message}`);
  return new AppError('invalid_request', `${where} has a setting that cannot be used: ${issues.join('; ')}`);
}
