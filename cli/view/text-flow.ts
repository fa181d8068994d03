import { printable } from '../printable.ts';

/**
 * Wraps text that comes in pieces: each word is written as soon as it is whole. Line breaks of the text stay,
 * and so does the indentation of its lines.
 */
export class TextFlow {
  readonly #write: (text: string) => void;
  readonly #width: number;
  readonly #indent: string;
  #column = 0;
  #spaces = '';
  #word = '';
  #blankLines = 0;
  #hasWritten = false;

  constructor(write: (text: string) => void, width: number, indent: string) {
    this.#write = write;
    this.#width = width;
    this.#indent = indent;
  }

  feed(text: string): void {
    for (const character of printable(text)) {
      if (character === '\n') this.#breakLine();
      else if (character === ' ' || character === '\t') this.#space(character);
      else this.#word += character;
    }
  }

  /** Ends the last line. */
  end(): void {
    this.#flushWord();
    if (this.#column > 0) this.#write('\n');
    this.#column = 0;
  }

  #space(character: string): void {
    this.#flushWord();
    this.#spaces += character === '\t' ? '  ' : character;
  }

  #breakLine(): void {
    this.#flushWord();
    this.#spaces = '';
    if (this.#column > 0) this.#write('\n');
    else this.#blankLines++;
    this.#column = 0;
  }

  #flushWord(): void {
    if (this.#word === '') return;
    // Blank lines are held back until a word follows, so that none are left at the beginning and the end.
    if (this.#blankLines > 0 && this.#hasWritten) this.#write('\n');
    this.#blankLines = 0;
    if (this.#column > 0 && this.#column + this.#spaces.length + this.#word.length > this.#width) {
      this.#write('\n');
      this.#column = 0;
      this.#spaces = '';
    }
    const lead = this.#column === 0 ? this.#indent + this.#spaces : this.#spaces;
    this.#write(lead + this.#word);
    this.#column += lead.length + this.#word.length;
    this.#spaces = '';
    this.#word = '';
    this.#hasWritten = true;
  }
}

/** The lines of a whole text, wrapped. */
export function wrap(text: string, width: number, indent: string): string[] {
  let written = '';
  const flow = new TextFlow(
    (piece) => {
      written += piece;
    },
    width,
    indent,
  );
  flow.feed(text);
  flow.end();
  return written === '' ? [] : written.replace(/\n$/, '').split('\n');
}
