import { z } from 'zod';

const rate = z.number().int().min(1).max(1_000_000).nullable().default(null);
const patterns = z.array(z.string().trim().min(1).max(253)).max(500).nullable().default(null);

/** What one agent may use. Null is no limit; what is left out when it is set goes to its default. */
export const agentLimits = z.strictObject({
  /** Model and tool calls of all its runs together. */
  callsPerMinute: rate,
  callsPerHour: rate,
  /** Of those, commands. */
  commandsPerHour: rate,
  /** US dollars in a day (UTC); kept by a budget like every other. */
  dayUsd: z.number().min(0).max(1_000_000).nullable().default(null),
  /** Tools by name or pattern, such as `git_*`. */
  tools: patterns,
  /** Hosts, such as `registry.npmjs.org` or `*.example.com`; it narrows what the egress proxy allows. */
  hosts: patterns,
  /** At a rate or the day's money: wait by name until there is room, or ask a person for each call. */
  over: z.enum(['wait', 'ask']).default('wait'),
  /** A tool that is not listed: ask a person, or refuse. */
  outside: z.enum(['ask', 'deny']).default('ask'),
  /** What is out of its ordinary range: a person is asked, the agent is suspended, or nothing is looked at. */
  ordinary: z.enum(['ask', 'suspend', 'off']).default('ask'),
  /** So many runs, ended well or not, an agent is only learnt from. */
  learningRuns: z.number().int().min(1).max(1_000).default(10),
  /** Out of the ordinary is what is above the median of its last runs by this factor. */
  factor: z.number().min(1.5).max(1_000).default(5),
});
export type AgentLimits = z.infer<typeof agentLimits>;

export const agentLimitsView = z.object({
  agent: z.string(),
  agentId: z.string(),
  limits: agentLimits,
  /** Null where nobody ever set any: the defaults hold. */
  updatedBy: z.string().nullable(),
  updatedAt: z.string().nullable(),
  used: z.object({
    /** Known only where a rate is limited. */
    callsLastMinute: z.number(),
    callsLastHour: z.number(),
    commandsLastHour: z.number(),
  }),
});
export type AgentLimitsView = z.infer<typeof agentLimitsView>;

/** How what is read of a project is taken. */
export const projectTrust = z.strictObject({
  /** Its files are private: a run that read them and something untrusted may send nothing on unasked. */
  private: z.boolean(),
  /** Its files may hold an attacker's words. */
  untrusted: z.boolean(),
});
export type ProjectTrust = z.infer<typeof projectTrust>;
