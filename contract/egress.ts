import { z } from 'zod';

/** Named sets of hosts that many agents need. */
export const egressPresets = {
  npm: ['registry.npmjs.org'],
  pypi: ['pypi.org', 'files.pythonhosted.org'],
  crates: ['index.crates.io', 'static.crates.io', 'crates.io'],
  go: ['proxy.golang.org', 'sum.golang.org'],
  debian: ['deb.debian.org', 'security.debian.org'],
  github: [
    'github.com',
    'api.github.com',
    'codeload.github.com',
    'raw.githubusercontent.com',
    'objects.githubusercontent.com',
  ],
} as const satisfies Record<string, readonly string[]>;
export const egressPreset = z.enum(['npm', 'pypi', 'crates', 'go', 'debian', 'github']);
export type EgressPreset = z.infer<typeof egressPreset>;

const hostName = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;
const literal = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]{2,45}\])$/;

export const egressHost = z
  .string()
  .trim()
  .toLowerCase()
  .max(253)
  .refine(
    (host) => hostName.test(host) || literal.test(host),
    'a host such as api.example.com, *.example.com or 192.0.2.7, without scheme, port or path',
  );
export const egressMethod = z.enum(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Where an agent's commands may connect to. What no rule names is refused. */
export const egressRule = z.strictObject({
  host: egressHost.describe('A whole name; *.example.com means every name below it, and not itself.'),
  ports: z
    .array(z.number().int().min(1).max(65_535))
    .min(1)
    .max(20)
    .default([443, 80])
    .describe('443 and 80 where none are given.'),
  methods: z.array(egressMethod).min(1).nullable().default(null).describe('null for all.'),
  pathPrefix: z
    .string()
    .startsWith('/')
    .max(500)
    .regex(/^[\w\-./~]*$/, 'letters, digits and - . _ ~ / only')
    .nullable()
    .default(null)
    .describe('null for every path.'),
  websocket: z.boolean().default(false).describe('Whether a WebSocket may be opened.'),
  inspect: z
    .boolean()
    .default(true)
    .describe(
      'False passes TLS through unread, for clients that pin certificates: secrets in it cannot be seen then.',
    ),
  private: z
    .boolean()
    .default(false)
    .describe('True lets the host resolve to an address of a private network or of this machine.'),
});
export type EgressRule = z.infer<typeof egressRule>;

export const putEgressBody = z.strictObject({
  presets: z.array(egressPreset).max(10).default([]),
  rules: z.array(egressRule).max(200).default([]),
});
export type PutEgressBody = z.infer<typeof putEgressBody>;

export const egressScope = z.enum(['agent', 'project']);
export type EgressScope = z.infer<typeof egressScope>;

export const egressListView = z.object({
  scope: egressScope,
  /** The agent's or project's name. */
  name: z.string(),
  presets: z.array(egressPreset),
  rules: z.array(egressRule),
  updatedBy: z.string().nullable(),
  updatedAt: z.string().nullable(),
});
export type EgressListView = z.infer<typeof egressListView>;

export const egressDecision = z.enum(['allowed', 'refused', 'stopped']);
export type EgressDecision = z.infer<typeof egressDecision>;

/** One request that left a sandbox, or wanted to. Never holds a query, a header or a body. */
export const egressRequestView = z.object({
  id: z.number().int(),
  runId: z.string(),
  agent: z.string(),
  host: z.string(),
  port: z.number().int(),
  /** CONNECT for what was passed through unread. */
  method: z.string(),
  path: z.string(),
  decision: egressDecision,
  reason: z.string().nullable(),
  credential: z.string().nullable(),
  status: z.number().int().nullable(),
  sentBytes: z.number(),
  receivedBytes: z.number(),
  at: z.string(),
});
export type EgressRequestView = z.infer<typeof egressRequestView>;
