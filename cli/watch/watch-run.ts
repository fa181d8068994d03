import { z } from 'zod';
import { askView } from '../../contract/asks.ts';
import { type RunView, runView } from '../../contract/runs.ts';
import type { Step } from '../../contract/steps.ts';
import { type TaskView, taskView } from '../../contract/tasks.ts';
import type { CommandContext } from '../context.ts';
import { CommandError, exitStatus } from '../exit-status.ts';
import { readSteps } from '../steps.ts';
import { runHeader, waitingLines } from '../view/run-lines.ts';
import { Transcript } from '../view/transcript.ts';
import { AskDesk } from './ask-desk.ts';
import { follow } from './follow.ts';

const ended: RunView['status'][] = ['succeeded', 'failed', 'stopped'];

/**
 * Shows a run until it ends.
 * @returns the run as it ended
 * @throws CommandError `waitsForPerson` where nobody may be asked; the signal's reason
 */
export async function watchRun(
  context: CommandContext,
  runId: string,
  signal: AbortSignal,
): Promise<RunView> {
  await using watch = new Watch(context, runId, signal);
  const { head } = await context.client.get('/events?limit=1', z.object({ head: z.number() }), signal);
  await watch.begin();
  for await (const item of follow(context.client, { run: runId, after: head, signal })) {
    if (item.kind === 'live') watch.live(item.seq, item.text);
    else if (item.kind === 'lost') watch.lost(item.reason);
    else await watch.lookAgain({ run: item.kind !== 'event' || !item.event.type.startsWith('step.') });
    if (watch.end !== null) return watch.end;
  }
  throw new CommandError(exitStatus.unreachable, 'The event stream ended.');
}

class Watch implements AsyncDisposable {
  /** The run once it has ended and all of it was shown. */
  end: RunView | null = null;
  readonly #context: CommandContext;
  readonly #runId: string;
  readonly #signal: AbortSignal;
  readonly #transcript: Transcript;
  readonly #desk: AskDesk;
  /** Every step up to here is shown to its end. */
  #settled = 0;
  #following = false;
  #told = '';
  readonly #toldSteps = new Set<number>();

  constructor(context: CommandContext, runId: string, signal: AbortSignal) {
    const { terminal, json } = context;
    this.#context = context;
    this.#runId = runId;
    this.#signal = signal;
    this.#transcript = new Transcript(json ? () => undefined : terminal.out, terminal.style);
    this.#desk = new AskDesk(context, (lines) => this.#transcript.say(lines), signal);
  }

  async begin(): Promise<void> {
    const { client, terminal } = this.#context;
    const run = await client.get(`/runs/${this.#runId}`, runView, this.#signal);
    const task: TaskView = await client.get(`/tasks/${run.taskId}`, taskView, this.#signal);
    this.#transcript.say(['', ...runHeader(run, task, terminal.style)]);
    await this.look({ run: true });
    this.#following = true;
  }

  live(seq: number, text: string): void {
    this.#transcript.live(seq, text);
  }

  lost(reason: string): void {
    this.#transcript.interrupt();
    if (!this.#context.json) this.#transcript.say([]);
    this.#context.terminal.err(`mission: ${reason}; trying again for two minutes\n`);
  }

  /** As `look`; while the server is away nothing is lost, since the next look reads it. */
  async lookAgain(what: { run: boolean }): Promise<void> {
    try {
      await this.look(what);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (error.exit !== exitStatus.unreachable && error.exit !== exitStatus.failed) throw error;
    }
  }

  /** Reads what is new. The run is read first: if it has ended, the steps read after it are all there are. */
  async look(what: { run: boolean }): Promise<void> {
    const { client } = this.#context;
    const run = what.run ? await client.get(`/runs/${this.#runId}`, runView, this.#signal) : null;
    const steps = await readSteps(client, this.#runId, this.#settled, this.#signal);
    for (const step of steps) {
      this.#tell(step);
      this.#transcript.add(step, this.#following);
    }
    for (const step of steps) {
      if (step.status === 'intended' || step.seq !== this.#settled + 1) break;
      this.#settled = step.seq;
    }
    if (run !== null) await this.#lookAt(run);
  }

  async #lookAt(run: RunView): Promise<void> {
    if (ended.includes(run.status)) {
      this.end = run;
      return;
    }
    this.#tellWait(run);
    const open = await this.#context.client.list('/asks?status=open', askView, this.#signal);
    const own = open.filter((ask) => ask.runId === this.#runId);
    // An ask may be younger than the steps that were read; its question is in its step.
    if (own.length > 0) await this.look({ run: false });
    await this.#desk.hold(own);
  }

  /** Each wait is told once; an ask is told by the desk, with the lines that answer it. */
  #tellWait(run: RunView): void {
    const wait =
      run.status === 'waiting' || run.status === 'paused' || run.status === 'queued' ? run.waiting : null;
    const key = wait === null ? '' : JSON.stringify([run.status, wait.on, wait.ref, wait.reason]);
    if (key === this.#told) return;
    this.#told = key;
    if (wait === null || wait.on === 'ask') return;
    const { style } = this.#context.terminal;
    const resume =
      run.status === 'paused' ? [style.colors.yellow(`    go on with: mission resume ${run.id}`)] : [];
    this.#transcript.say([...waitingLines(wait, style, new Date()), ...resume]);
  }

  #tell(step: Step): void {
    if (!this.#context.json || step.status === 'intended' || this.#toldSteps.has(step.seq)) return;
    this.#toldSteps.add(step.seq);
    this.#context.terminal.out(`${JSON.stringify({ step })}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transcript.say([]);
    await this.#desk[Symbol.asyncDispose]();
  }
}
