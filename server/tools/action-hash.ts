import { createHash } from 'node:crypto';
import { canonicalJson } from '../../contract/canonical-json.ts';

export interface ExactAction {
  tool: string;
  input: unknown;
  cwd: string;
  env: Readonly<Record<string, string>>;
  /** The workspace's tree at the moment of asking. */
  tree: string | null;
}

/** SHA-256, in hex, of exactly what an approval approves; the order of keys does not matter. */
export function actionHash(action: ExactAction): string {
  const { tool, input, cwd, env, tree } = action;
  return createHash('sha256').update(canonicalJson({ tool, input, cwd, env, tree })).digest('hex');
}
