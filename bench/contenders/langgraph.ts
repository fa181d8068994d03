import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';
import { type Contender, payload } from './contender.ts';

/** LangGraph: turns of a graph with one node, each checkpointed by PostgresSaver before the next begins. */
export async function openLangGraph(connection: Connection): Promise<Contender> {
  const pool = new pg.Pool({ ...connection });
  const checkpointer = new PostgresSaver(pool, undefined, { schema: 'langgraph' });
  await checkpointer.setup();
  const state = Annotation.Root({ left: Annotation<number>(), text: Annotation<string>() });
  let began = 0;
  let times: number[] = [];
  const graph = new StateGraph(state)
    .addNode('step', ({ left }) => {
      if (began > 0) times.push(performance.now() - began);
      began = performance.now();
      return { left: left - 1, text: payload };
    })
    .addEdge(START, 'step')
    .addConditionalEdges('step', ({ left }) => (left > 0 ? 'step' : END))
    .compile({ checkpointer });
  let threads = 0;
  return {
    name: 'LangGraph: PostgresSaver, durability sync',
    async run(steps) {
      threads += 1;
      [began, times] = [0, []];
      const config = { configurable: { thread_id: `thread-${threads}` }, recursionLimit: steps + 10 };
      // The time between two entries of the node is a step; hence one more than asked for.
      await graph.invoke({ left: steps + 1, text: '' }, { ...config, durability: 'sync' });
      return times;
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
