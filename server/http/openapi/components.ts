import { z } from 'zod';
import * as agents from '../../../contract/agents.ts';
import * as artifacts from '../../../contract/artifacts.ts';
import * as asks from '../../../contract/asks.ts';
import * as audit from '../../../contract/audit.ts';
import * as budgets from '../../../contract/budgets.ts';
import * as changes from '../../../contract/changes.ts';
import * as claims from '../../../contract/claims.ts';
import * as credentials from '../../../contract/credentials.ts';
import * as egress from '../../../contract/egress.ts';
import * as events from '../../../contract/events.ts';
import * as hooks from '../../../contract/hooks.ts';
import * as limits from '../../../contract/limits.ts';
import * as models from '../../../contract/models.ts';
import * as notifications from '../../../contract/notifications.ts';
import * as policies from '../../../contract/policies.ts';
import * as principals from '../../../contract/principals.ts';
import * as projects from '../../../contract/projects.ts';
import * as runs from '../../../contract/runs.ts';
import * as sessions from '../../../contract/sessions.ts';
import * as steps from '../../../contract/steps.ts';
import * as system from '../../../contract/system.ts';
import * as tasks from '../../../contract/tasks.ts';
import * as waiting from '../../../contract/waiting.ts';
import * as webhooks from '../../../contract/webhooks.ts';

export type JsonSchema = Record<string, unknown>;

/** The modules of the contract whose schemas are named in the document. */
export const contractModules: Record<string, object> = {
  agents,
  artifacts,
  asks,
  audit,
  budgets,
  changes,
  claims,
  credentials,
  egress,
  events,
  hooks,
  limits,
  models,
  notifications,
  policies,
  principals,
  projects,
  runs,
  sessions,
  steps,
  system,
  tasks,
  waiting,
  webhooks,
};

/** Schemas of parameters, which are told one by one. */
const isParameters = /(Query|Filter|Params)$/;

/** JSON schemas out of Zod's, with what the contract exports as named components. */
export interface SchemaWriter {
  /** @param io `input` for what is sent to us, `output` for what we answer */
  write(schema: z.ZodType, io: 'input' | 'output'): JsonSchema;
  /** The components that were referred to until now. */
  components(): Record<string, JsonSchema>;
}

export function openSchemaWriter(): SchemaWriter {
  const registry = z.registry<{ id: string }>();
  for (const exports of Object.values(contractModules)) {
    for (const [name, value] of Object.entries(exports)) {
      if (!(value instanceof z.ZodType) || registry.has(value) || isParameters.test(name)) continue;
      registry.add(value, { id: freeName(registry, `${name[0]?.toUpperCase()}${name.slice(1)}`) });
    }
  }
  const forms = { input: formsOf(registry, 'input'), output: formsOf(registry, 'output') };
  const different = findDifferent(forms);
  const used = new Map<string, JsonSchema>();
  const refer = (io: 'input' | 'output') => (id: string) => {
    const name = different.has(id) ? nameOfForm(id, io) : id;
    if (!used.has(name)) {
      used.set(name, {});
      used.set(name, redirect(forms[io][id] ?? {}, refer(io)));
    }
    return name;
  };
  return {
    write(schema, io) {
      const { $schema: _, $defs: __, ...rest } = z.toJSONSchema(schema, optionsFor(registry, io));
      return redirect(rest, refer(io));
    },
    components: () => Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

type Registry = z.core.$ZodRegistry<{ id: string }>;

function optionsFor(registry: Registry, io: 'input' | 'output') {
  return {
    metadata: registry,
    io,
    unrepresentable: 'any' as const,
    override: ({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonSchema }) => {
      // The format says the same as this pattern, and can be read.
      if (jsonSchema['format'] === 'date-time') delete jsonSchema['pattern'];
      if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
      if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
      // Answers may get more fields; only what must be refused is closed.
      const { def } = zodSchema._zod;
      if (io === 'output' && def.type === 'object' && def.catchall === undefined)
        delete jsonSchema['additionalProperties'];
    },
  };
}

function formsOf(registry: Registry, io: 'input' | 'output'): Record<string, JsonSchema> {
  const { schemas } = z.toJSONSchema(registry, { ...optionsFor(registry, io), uri: (id) => `#/$defs/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]),
  );
}

/** The names whose form depends on the direction, by themselves or by what they refer to. */
function findDifferent(forms: Record<'input' | 'output', Record<string, JsonSchema>>): Set<string> {
  const ids = Object.keys(forms.output);
  const different = new Set(
    ids.filter((id) => JSON.stringify(forms.input[id]) !== JSON.stringify(forms.output[id])),
  );
  for (let before = -1; before !== different.size; ) {
    before = different.size;
    for (const id of ids)
      if (namesIn(forms.output[id]).some((name) => different.has(name))) different.add(id);
  }
  return different;
}

function namesIn(schema: unknown): string[] {
  return [...JSON.stringify(schema ?? {}).matchAll(/"\$ref":"#\/\$defs\/(\w+)"/g)].flatMap(
    ([, name]) => name ?? [],
  );
}

/** The same schema with its references led to the document's components. */
function redirect(schema: JsonSchema, refer: (id: string) => string): JsonSchema {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const id =
          key === '$ref' && typeof item === 'string' ? item.match(/^#\/\$defs\/(\w+)$/)?.[1] : undefined;
        return [key, id === undefined ? walk(item) : `#/components/schemas/${refer(id)}`];
      }),
    );
  };
  return Object.fromEntries(
    Object.entries(schema).map(([key, item]) => {
      const walked = walk({ [key]: item });
      return [key, Object.values(walked ?? {})[0]];
    }),
  );
}

function freeName(registry: Registry, wanted: string): string {
  const taken = new Set([...registry._idmap.keys()]);
  for (let number = 2, name = wanted; ; number++) {
    if (!taken.has(name)) return name;
    name = `${wanted}${number}`;
  }
}

/** Of the two forms, the one that the name tells of has it alone: a body is sent, a view is answered. */
function nameOfForm(id: string, io: 'input' | 'output'): string {
  if (id.endsWith('Body')) return io === 'input' ? id : `${id}Answer`;
  return io === 'input' ? `${id}Input` : id;
}
