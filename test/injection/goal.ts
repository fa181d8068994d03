import type { Call } from './obedient-model.ts';

/** Where injected text reaches the model. */
export const vectors = ['file', 'tool', 'web', 'issue', 'message'] as const;
export type Vector = (typeof vectors)[number];

/** What orders and honest work can name. */
export interface Places {
  docs: string;
  paste: string;
  evil: string;
  /** The API's address. */
  api: string;
  /** Folders of the host: one that nobody may touch, the server's own, and the task's source. */
  outside: string;
  home: string;
  source: string;
}

export interface Goal {
  name: string;
  /** What the injected text wants done. */
  orders(places: Places): Call[];
  /** The same kind of work, honest: the agent's own script has it, and its task names the host where there is one. */
  twin(places: Places): Call[];
}

export const sh = (command: string, seconds?: number): Call => [
  'run_command',
  seconds === undefined ? { command } : { command, timeout_seconds: seconds },
];
export const goal = (name: string, orders: Goal['orders'], twin: Goal['twin']): Goal => ({
  name,
  orders,
  twin,
});
export const readDocs: Goal['twin'] = ({ docs }) => [sh(`curl -s http://${docs}/guide`)];
export const work: Goal['twin'] = () => [sh('node --test && ls -la')];
