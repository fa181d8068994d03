import type { ModelStep, PhaseStep, Step, ToolStep } from '../../contract/steps.ts';
import type { Style } from '../terminal.ts';
import {
  askClosing,
  askOpening,
  checkClosing,
  checkOpening,
  compactionLines,
  guidanceLines,
  heading,
  modelFailure,
  noteLines,
  phaseEnd,
  type Spent,
} from './step-lines.ts';
import { TextFlow } from './text-flow.ts';
import { isToldElsewhere, toolClosing, toolOpening } from './tool-lines.ts';

/**
 * A run as text, written as it happens. A step is given once when its intent is seen and again when it has
 * ended; each part is written once. A model's text is shown as it comes, and the rest of it when its step ends:
 * what the step holds is the truth, what came live is only the beginning of it, and may be missing.
 */
export class Transcript {
  readonly #write: (text: string) => void;
  readonly #style: Style;
  readonly #opened = new Set<number>();
  readonly #closed = new Set<number>();
  #section = '';
  #phase: { name: string; spent: Spent } | null = null;
  /** The step whose opening line is the last thing written. */
  #lastOpening = -1;
  #flow: TextFlow | null = null;
  /** Text that follows an act stands apart from it. */
  #afterAct = false;
  /** The model step that is under way; `live` where its text is shown as it comes. */
  #model: { seq: number; live: boolean } | null = null;
  /** What was shown of the text of the model step under way. */
  #shown = '';
  /** Live text of a step that is not known yet. */
  #early = { seq: 0, text: '' };

  constructor(write: (text: string) => void, style: Style) {
    this.#write = write;
    this.#style = style;
  }

  /** @param following false while the past is read: a step that is then under way has lost its beginning */
  add(step: Step, following: boolean): void {
    if (!this.#opened.has(step.seq)) {
      this.#opened.add(step.seq);
      this.#open(step, following);
    }
    if (step.status === 'intended' || this.#closed.has(step.seq)) return;
    this.#closed.add(step.seq);
    this.#close(step);
  }

  /** Text as the model writes it in a step; what comes after the step's end is known already. */
  live(seq: number, text: string): void {
    if (this.#closed.has(seq)) return;
    if (this.#model?.seq !== seq) {
      this.#early = { seq, text: this.#early.seq === seq ? this.#early.text + text : text };
    } else if (this.#model.live) this.#show(text);
  }

  /** Live text was missed: what follows it would make no sense. */
  interrupt(): void {
    this.#early = { seq: 0, text: '' };
    if (this.#model !== null) this.#model.live = false;
  }

  /** Lines that are no part of a step. */
  say(lines: string[]): void {
    this.#endText();
    for (const line of lines) this.#write(`${line}\n`);
    if (lines.length > 0) this.#afterAct = lines.at(-1) !== '';
    this.#lastOpening = -1;
  }

  section(name: string): void {
    if (this.#section === name) return;
    this.#section = name;
    this.say(['', heading(name, this.#style), '']);
  }

  #open(step: Step, following: boolean): void {
    switch (step.kind) {
      case 'phase':
        this.#enterPhase(step);
        return;
      case 'model':
        this.#openModel(step, following);
        return;
      case 'tool':
        this.#openTool(step);
        return;
      case 'check':
        // Set-up and checks of the base belong to what prepares the run.
        if (step.intent.where === 'change' || step.intent.where === 'pinned') this.section('checks');
        this.say([checkOpening(step, this.#style)]);
        return;
      case 'ask':
        this.say(askOpening(step, this.#style));
        return;
      case 'guidance':
        this.say(guidanceLines(step, this.#style));
        return;
      case 'note':
        this.say(noteLines(step, this.#style));
        return;
      case 'compaction':
        this.say(compactionLines(step, this.#style));
        return;
    }
  }

  #close(step: Step): void {
    if (step.kind === 'model') this.#closeModel(step);
    if (step.kind === 'tool') this.#closeTool(step);
    if (step.kind === 'check') this.say(checkClosing(step, this.#style));
    if (step.kind === 'ask') this.say(askClosing(step, this.#style));
  }

  #enterPhase(step: PhaseStep): void {
    const { phase } = step.intent;
    this.#section = '';
    this.section(phase);
    this.#phase = { name: phase, spent: nothingSpent(step.startedAt) };
  }

  #endPhase(step: ToolStep, summary: string): void {
    const name = this.#phase?.name ?? this.#section;
    const spent = this.#phase?.spent ?? nothingSpent(step.startedAt);
    const endedAt = step.endedAt ?? step.startedAt;
    this.say(['', ...phaseEnd({ name, summary, spent, endedAt }, this.#style)]);
    this.#phase = null;
  }

  #openModel(step: ModelStep, following: boolean): void {
    this.#backToPhase(step.intent.phase, step.startedAt);
    const live = following && step.status === 'intended';
    this.#model = { seq: step.seq, live };
    if (live && this.#early.seq === step.seq) this.#show(this.#early.text);
  }

  #closeModel(step: ModelStep): void {
    const text = step.result?.text ?? '';
    const shown = this.#shown;
    this.#shown = '';
    this.#model = null;
    this.#account(step);
    if (step.status !== 'done') {
      this.say(modelFailure(step, this.#style));
      return;
    }
    if (text.startsWith(shown)) {
      this.#show(text.slice(shown.length));
    } else {
      this.say([this.#style.colors.dim('  (the same in full)')]);
      this.#afterAct = false;
      this.#show(text);
    }
    this.#shown = '';
    this.#endText();
  }

  #openTool(step: ToolStep): void {
    if (isToldElsewhere(step)) return;
    this.say([toolOpening(step, this.#style)]);
    this.#lastOpening = step.seq;
  }

  #closeTool(step: ToolStep): void {
    const named = this.#lastOpening !== step.seq;
    if (!isToldElsewhere(step)) {
      this.say(toolClosing(step, this.#style, { named }));
      return;
    }
    const { input } = step.intent;
    if (typeof input !== 'object' || input === null) return;
    if ('summary' in input && typeof input.summary === 'string') this.#endPhase(step, input.summary);
  }

  /** After checks in between, the phase's heading shows again where the work goes on. */
  #backToPhase(phase: string, startedAt: string): void {
    if (this.#section !== phase) this.section(phase);
    this.#phase ??= { name: phase, spent: nothingSpent(startedAt) };
  }

  #account(step: ModelStep): void {
    if (this.#phase === null) return;
    const { spent } = this.#phase;
    spent.calls++;
    spent.tokens += (step.usage?.input ?? 0) + (step.usage?.output ?? 0);
    spent.cached += step.usage?.cachedInput ?? 0;
    spent.micros += step.costMicros ?? 0;
  }

  #show(text: string): void {
    if (text === '') return;
    this.#shown += text;
    if (this.#flow === null) {
      if (this.#afterAct) this.#write('\n');
      this.#afterAct = false;
      this.#flow = new TextFlow(this.#write, this.#style.width, '  ');
    }
    this.#flow.feed(text);
  }

  #endText(): void {
    this.#flow?.end();
    this.#flow = null;
  }
}

function nothingSpent(startedAt: string): Spent {
  return { calls: 0, tokens: 0, cached: 0, micros: 0, startedAt };
}
