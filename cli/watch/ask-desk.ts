import { type AskView, askView } from '../../contract/asks.ts';
import type { CommandContext } from '../context.ts';
import { CommandError, exitStatus } from '../exit-status.ts';
import { answerCommands, askLines } from '../view/run-lines.ts';
import { decisionOf, optionsOf, promptOf, promptPerson } from './prompt.ts';

/**
 * Puts a run's open asks before the person who watches: shows each once, takes an answer where there is
 * somebody to give it, and takes the question back when it was answered elsewhere.
 */
export class AskDesk implements AsyncDisposable {
  readonly #context: CommandContext;
  readonly #say: (lines: string[]) => void;
  readonly #signal: AbortSignal;
  readonly #shown = new Set<string>();
  /** What went wrong while an answer was taken; told at the next look. */
  #failure: { error: unknown } | null = null;
  #question: { id: string; controller: AbortController; answered: Promise<void> } | null = null;

  constructor(context: CommandContext, say: (lines: string[]) => void, signal: AbortSignal) {
    this.#context = context;
    this.#say = say;
    this.#signal = signal;
  }

  /** @throws CommandError `waitsForPerson` where --no-input forbids to ask */
  async hold(asks: AskView[]): Promise<void> {
    const { terminal, noInput, json } = this.#context;
    if (this.#failure !== null) throw this.#failure.error;
    const question = this.#question;
    if (question !== null && !asks.some(({ id }) => id === question.id)) await this.#takeBack();
    for (const ask of asks) {
      if (this.#shown.has(ask.id)) continue;
      this.#shown.add(ask.id);
      if (json) terminal.out(`${JSON.stringify({ ask })}\n`);
      this.#say(askLines(ask, terminal.style, new Date(), { question: false }));
    }
    const [first] = asks;
    if (first === undefined) return;
    if (noInput) {
      const lines = answerCommands(first).map((line) => `  ${line}`);
      throw new CommandError(
        exitStatus.waitsForPerson,
        `The run waits for a person. Answer with:\n${lines.join('\n')}`,
      );
    }
    if (terminal.interactive && !json && this.#question === null) this.#ask(first);
  }

  #ask(ask: AskView): void {
    this.#say(optionsOf(ask).map((option, index) => `    ${index + 1}. ${option}`));
    const controller = new AbortController();
    const answered = this.#takeAnswer(ask, AbortSignal.any([controller.signal, this.#signal])).catch(
      (error: unknown) => {
        this.#failure = { error };
      },
    );
    this.#question = { id: ask.id, controller, answered };
  }

  async #takeAnswer(ask: AskView, signal: AbortSignal): Promise<void> {
    const { client, terminal, interrupt } = this.#context;
    const line = await promptPerson(promptOf(ask), signal, interrupt);
    const decision = line === null ? null : decisionOf(ask, line);
    if (decision === null) return;
    try {
      await client.post(`/asks/${ask.id}/decide`, decision, askView, this.#signal);
    } catch (error) {
      // Somebody else may have been quicker; the watch goes on either way.
      if (!(error instanceof CommandError)) throw error;
      terminal.err(`mission: ${error.message}\n`);
    }
  }

  async #takeBack(): Promise<void> {
    const question = this.#question;
    this.#question = null;
    question?.controller.abort();
    await question?.answered;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#takeBack();
  }
}
