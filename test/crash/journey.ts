import type { CloudEvent } from '../../contract/events.ts';
import type { ServerProcess, TestHome } from '../start-app.ts';
import { within } from '../start-app.ts';

export const guidance = 'keep it short';

export interface JourneyOptions {
  /** Starts the server; `attempt` counts from 0, and a fault belongs to the first alone. */
  spawn(attempt: number): ServerProcess;
  limitMs: number;
}

export interface Travelled {
  taskId: string;
  /** How often the server died on the way. */
  deaths: number;
}

/**
 * A person's whole way: gives the task, says something, answers the question, merges the change, stops the
 * server. They look at what is there before they act, so that whatever was acknowledged is not asked for again; when the
 * server dies they start it again and go on.
 */
export async function travel(home: TestHome, options: JourneyOptions): Promise<Travelled> {
  const signal = AbortSignal.timeout(options.limitMs);
  const person = new Person(home, signal);
  for (let deaths = 0; deaths < 4; deaths++) {
    await using server = options.spawn(deaths);
    try {
      if (!(await server.ready)) {
        requireKilled(await server.exit, server);
        continue;
      }
      const taskId = await person.goOn();
      const exit = await server.stop();
      if (exit.signal === 'SIGKILL') {
        deaths += 1;
        // It died while it stopped: what had been done must still be there.
        await using again = options.spawn(deaths);
        await again.ready;
        await person.goOn();
        await again.stop();
      } else if (exit.code !== 0) {
        throw new Error(`the server stopped with status ${exit.code}`);
      }
      return { taskId, deaths };
    } catch (error) {
      if (signal.aborted || !(await hasDied(server))) {
        throw new Error(`the journey failed: ${describe(error)}\n${lastLines(server)}`, { cause: error });
      }
      requireKilled(await server.exit, server);
    }
  }
  throw new Error('the server died again and again');
}

class Person {
  readonly #home: TestHome;
  readonly #signal: AbortSignal;

  constructor(home: TestHome, signal: AbortSignal) {
    this.#home = home;
    this.#signal = signal;
  }

  /** Goes on from wherever things stand to the merged change. Returns the task. */
  async goOn(): Promise<string> {
    const { api, repository } = this.#home;
    const [task] = await api.tasks();
    const taskId =
      task?.id ??
      (
        await api.createTask({
          instructions: 'Mend the greeting',
          repository,
          model: 'recorded/tiny',
          checks: ['sh check.sh'],
        })
      ).task.id;
    for await (const event of api.events(this.#signal)) {
      if (noteworthy.has(event.type) && (await this.#look(taskId))) return taskId;
      failIfEnded(event);
    }
    throw new Error('the events ended');
  }

  /** Does what is due now. True when all is done. */
  async #look(taskId: string): Promise<boolean> {
    const { api } = this.#home;
    const [change] = await api.changes(taskId);
    if (change?.status === 'merged') return true;
    if (change?.status === 'ready') {
      await api.merge(change.id);
      return false;
    }
    const [ask] = await api.asks('open');
    if (ask === undefined) return false;
    if (!(await this.#hasSpoken())) await api.say(ask.runId, guidance);
    await api.decide(ask.id, 'answer', 'yes');
    return false;
  }

  /** Whether a sentence is already on the log: acknowledged or not, it is not said twice. */
  async #hasSpoken(): Promise<boolean> {
    return (await this.#home.api.eventsUntilNow()).some((event) => event.type === 'message.sent');
  }
}

const noteworthy = new Set<CloudEvent['type']>([
  'task.created',
  'ask.opened',
  'change.ready',
  'change.merged',
]);

function failIfEnded(event: CloudEvent): void {
  if (event.type === 'run.failed' || event.type === 'run.stopped') {
    throw new Error(`${event.type}: ${JSON.stringify(event.data)}`);
  }
}

async function hasDied(server: ServerProcess): Promise<boolean> {
  try {
    // The connection breaks a moment before the process is reaped.
    await within(2_000, server.exit, () => 'it lives');
    return true;
  } catch (error) {
    if (error instanceof Error && error.message === 'it lives') return false;
    throw error;
  }
}

/** Dying of anything but the fault is a failure of its own. */
function requireKilled(exit: { code: number | null; signal: string | null }, server: ServerProcess): void {
  if (exit.signal !== 'SIGKILL')
    throw new Error(`the server ended by itself (${exit.code ?? exit.signal})\n${lastLines(server)}`);
}

function lastLines(server: ServerProcess): string {
  return server.log().trimEnd().split('\n').slice(-12).join('\n');
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${describe(error.cause)})`;
}
