/** What a scrape holds: the value of each series, as Prometheus would read it. */
export class Exposition {
  readonly text: string;
  /** Names of measurements with their type. */
  readonly types: ReadonlyMap<string, string>;

  constructor(text: string) {
    this.text = text;
    this.types = new Map(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]),
    );
  }

  /** @returns the sum over the series of this name with these labels; undefined where there is none */
  value(name: string, labels: Record<string, string> = {}): number | undefined {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    const values = this.text.split('\n').flatMap((line) => {
      const [, found, set = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return found === name && wanted.every((label) => set.includes(label)) ? [Number(value)] : [];
    });
    return values.length === 0 ? undefined : values.reduce((all, each) => all + each, 0);
  }
}

/** Names of ours, and of the process, that a query speaks of. */
export function namesIn(query: string): string[] {
  const withoutLabels = query.replace(/"[^"]*"/g, '""');
  return [...withoutLabels.matchAll(/\b(?:mission|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name);
}
