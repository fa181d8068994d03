import { createHash } from 'node:crypto';

export interface ExactAction {
  tool: string;
  input: unknown;
  cwd: string;
  env: Record<string, string>;
  /** The workspace's tree at the moment of asking. */
  tree: string | null;
}

/** SHA-256, in hex, of exactly what an approval approves; the order of keys does not matter. */
export function actionHash(action: ExactAction): string {
  const { tool, input, cwd, env, tree } = action;
  return createHash('sha256').update(canonical({ tool, input, cwd, env, tree })).digest('hex');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}
