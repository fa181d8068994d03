import { Journal } from '../../server/runs/journal.ts';
import { timed } from '../measure/statistics.ts';
import { leaseBenchRun, type Store } from '../measure/store.ts';
import { type Contender, payload } from './contender.ts';

interface JournalContender extends Contender {
  /** The steps that follow belong to a new run. */
  startRun(): Promise<void>;
}

/** Our journal with the sequencer beside it, as in a server: each write checks the lease and tells its event. */
export async function openJournal(
  store: Store,
  options: { name: string; twoWrites: boolean },
): Promise<JournalContender> {
  const { database } = store;
  const openRun = async () => Journal.open(database, await leaseBenchRun(database));
  let journal = await openRun();
  const one = () => journal.record({ kind: 'note', name: 'bench', intent: { text: payload } });
  const two = async () => {
    const intent = {
      callId: `call-${journal.steps.length}`,
      modelSeq: 1,
      name: 'bench',
      input: payload,
      effect: 'read',
    };
    const { seq } = await journal.intend({ kind: 'tool', name: 'bench', intent });
    await journal.complete(seq, { status: 'done', result: { ok: true, output: payload } });
  };
  return {
    name: options.name,
    async startRun() {
      journal = await openRun();
    },
    async run(steps) {
      const times: number[] = [];
      for (let count = 0; count < steps; count++) times.push(await timed(options.twoWrites ? two : one));
      await store.allNumbered();
      return times;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
