/** A document or a part of one: JSON. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * What of an API's new document breaks a client of the old one, each as a line that says where. What is added is
 * no break: paths, answers' fields and their enum values, optional fields and parameters of requests.
 */
export function findBreakingChanges(before: Json, after: Json): string[] {
  const comparison = new Comparison(before, after);
  const paths = recordOf(after['paths']);
  for (const [path, methods] of entriesOf(before['paths'])) {
    for (const [method, operation] of entriesOf(methods)) {
      const name = `${method.toUpperCase()} ${path}`;
      const now = recordOf(paths[path])[method];
      if (now === undefined) comparison.found.push(`${name} is gone`);
      else comparison.compareOperation(name, recordOf(operation), recordOf(now));
    }
  }
  return comparison.found;
}

type Direction = 'sent' | 'answered';

class Comparison {
  readonly found: string[] = [];
  readonly #before: Json;
  readonly #after: Json;
  /** Of one form among several, where the values that it lacks are another's. */
  readonly #amongForms: boolean;
  readonly #seen: Set<string>;

  constructor(
    before: Json,
    after: Json,
    { amongForms = false, seen = new Set<string>() }: { amongForms?: boolean; seen?: Set<string> } = {},
  ) {
    this.#before = before;
    this.#after = after;
    this.#amongForms = amongForms;
    this.#seen = seen;
  }

  compareOperation(name: string, before: Json, after: Json): void {
    this.#compareParameters(name, before, after);
    this.#compareBodies(name, recordOf(before['requestBody']), recordOf(after['requestBody']));
    for (const [status, response] of entriesOf(before['responses'])) {
      const place = `${name} → ${status}`;
      const now = recordOf(after['responses'])[status];
      if (now === undefined) this.found.push(`${place} is gone`);
      else this.#compareContent(place, this.#old(response), this.#new(now), 'answered');
    }
  }

  #compareParameters(name: string, before: Json, after: Json): void {
    const key = (parameter: Json) => `${parameter['in']} ${parameter['name']}`;
    const [old, now] = [before, after].map(
      (operation) => new Map(listOf(operation['parameters']).map((parameter) => [key(parameter), parameter])),
    );
    for (const [place, parameter] of old ?? []) {
      const other = now?.get(place);
      if (other === undefined) this.found.push(`${name}: the parameter ${place} is gone`);
      else
        this.compareSchemas(
          `${name}, ${place}`,
          recordOf(parameter['schema']),
          recordOf(other['schema']),
          'sent',
        );
    }
    for (const [place, parameter] of now ?? []) {
      if (parameter['required'] === true && old?.get(place)?.['required'] !== true)
        this.found.push(`${name}: the parameter ${place} is required now`);
    }
  }

  #compareBodies(name: string, before: Json, after: Json): void {
    if (after['required'] === true && before['required'] !== true)
      this.found.push(`${name}: a body is required now`);
    this.#compareContent(`${name}, body`, before, after, 'sent');
  }

  #compareContent(place: string, before: Json, after: Json, direction: Direction): void {
    for (const [media, content] of entriesOf(before['content'])) {
      const now = recordOf(after['content'])[media];
      if (now === undefined) this.found.push(`${place}: ${media} is gone`);
      else
        this.compareSchemas(
          place,
          recordOf(recordOf(content)['schema']),
          recordOf(recordOf(now)['schema']),
          direction,
        );
    }
  }

  compareSchemas(place: string, oldSchema: Json, newSchema: Json, direction: Direction): void {
    const pair = `${oldSchema['$ref']} ${newSchema['$ref']} ${direction}`;
    if (oldSchema['$ref'] !== undefined && newSchema['$ref'] !== undefined) {
      if (this.#seen.has(pair)) return;
      this.#seen.add(pair);
    }
    const before = this.#old(oldSchema);
    const after = this.#new(newSchema);
    if (JSON.stringify(before) === JSON.stringify(after) && oldSchema['$ref'] === undefined) {
      this.#compareInner(place, before, after, direction);
      return;
    }
    if (choicesOf(before).length > 0 || choicesOf(after).length > 0)
      this.#compareChoices(place, before, after, direction);
    else {
      this.#compareTypes(place, before, after, direction);
      this.#compareInner(place, before, after, direction);
      if (direction === 'sent') this.#compareLimits(place, before, after);
    }
  }

  #compareTypes(place: string, before: Json, after: Json, direction: Direction): void {
    const [old, now] = [typesOf(before), typesOf(after)];
    // Who sent a kind of value must be able to go on; who reads must meet no new one.
    const [wider, narrower] = direction === 'sent' ? [now, old] : [old, now];
    const missing = narrower.filter(
      (type) => !wider.includes(type) && !(type === 'integer' && wider.includes('number')),
    );
    if (wider.length > 0 && (missing.length > 0 || narrower.length === 0))
      this.found.push(`${place}: ${old.join('|') || 'anything'} became ${now.join('|') || 'anything'}`);
    const [oldValues, newValues] = [valuesOf(before), valuesOf(after)];
    if (newValues === null ? direction === 'answered' && oldValues !== null : false)
      this.found.push(`${place}: the list of its values is gone`);
    if (oldValues === null && newValues !== null && direction === 'sent')
      this.found.push(`${place}: takes only some values now`);
    const gone = (oldValues ?? []).filter((value) => newValues !== null && !newValues.includes(value));
    if (gone.length > 0 && !this.#amongForms)
      this.found.push(`${place}: the value ${gone.join(', ')} is gone`);
  }

  #compareInner(place: string, before: Json, after: Json, direction: Direction): void {
    const now = recordOf(after['properties']);
    const [wasRequired, isRequired] = [namesOf(before['required']), namesOf(after['required'])];
    for (const [name, schema] of entriesOf(before['properties'])) {
      const field = `${place}.${name}`;
      if (now[name] === undefined) {
        const refused = direction === 'answered' || after['additionalProperties'] === false;
        if (refused) this.found.push(`${field} is gone`);
        continue;
      }
      this.compareSchemas(field, recordOf(schema), recordOf(now[name]), direction);
      if (direction === 'answered' && wasRequired.includes(name) && !isRequired.includes(name))
        this.found.push(`${field} is not always there now`);
    }
    if (direction === 'sent') {
      for (const name of isRequired.filter((each) => !wasRequired.includes(each)))
        this.found.push(`${place}.${name} is required now`);
    }
    if (before['items'] !== undefined && after['items'] !== undefined)
      this.compareSchemas(`${place}[]`, recordOf(before['items']), recordOf(after['items']), direction);
  }

  #compareLimits(place: string, before: Json, after: Json): void {
    for (const [keyword, sign] of limits) {
      const [old, now] = [before[keyword], after[keyword]];
      if (typeof now !== 'number') continue;
      if (typeof old !== 'number' || (now - old) * sign > 0)
        this.found.push(`${place}: ${keyword} is ${now} now, and was ${old ?? 'none'}`);
    }
    if (after['pattern'] !== undefined && after['pattern'] !== before['pattern'])
      this.found.push(`${place}: must fit another pattern`);
  }

  /** Each way that was must still be there; for who reads, no way may be that was not. */
  #compareChoices(place: string, before: Json, after: Json, direction: Direction): void {
    const [old, now] = [before, after].map((schema) => {
      const choices = choicesOf(schema);
      return choices.length > 0 ? choices : [schema];
    });
    const [some, all] = direction === 'sent' ? [old, now] : [now, old];
    for (const choice of some ?? []) {
      const fits = (all ?? []).some((other) => {
        const amongForms = direction === 'answered' && (now ?? []).length > 1;
        const trial = new Comparison(this.#before, this.#after, {
          amongForms: amongForms || this.#amongForms,
          seen: new Set(this.#seen),
        });
        if (direction === 'sent') trial.compareSchemas(place, choice, other, direction);
        else trial.compareSchemas(place, other, choice, direction);
        return trial.found.length === 0;
      });
      if (!fits)
        this.found.push(
          `${place}: ${direction === 'sent' ? 'no longer takes' : 'may now be'} ${JSON.stringify(choice).slice(0, 80)}`,
        );
    }
  }

  #old(part: unknown): Json {
    return resolve(this.#before, part);
  }

  #new(part: unknown): Json {
    return resolve(this.#after, part);
  }
}

/** 1 where a higher number refuses more, -1 where a lower one does. */
const limits: [string, 1 | -1][] = [
  ['minLength', 1],
  ['minimum', 1],
  ['exclusiveMinimum', 1],
  ['minItems', 1],
  ['maxLength', -1],
  ['maximum', -1],
  ['maxItems', -1],
];

function resolve(document: Json, part: unknown): Json {
  const value = recordOf(part);
  const reference = value['$ref'];
  if (typeof reference !== 'string') return value;
  const found = reference
    .slice(2)
    .split('/')
    .reduce<unknown>((at, key) => recordOf(at)[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
  return resolve(document, found);
}

function choicesOf(schema: Json): Json[] {
  return listOf(schema['anyOf'] ?? schema['oneOf']);
}

function typesOf(schema: Json): string[] {
  if ('const' in schema && schema['type'] === undefined) return [typeof schema['const']];
  return namesOf([schema['type']].flat());
}

function valuesOf(schema: Json): unknown[] | null {
  if ('const' in schema) return [schema['const']];
  return Array.isArray(schema['enum']) ? schema['enum'] : null;
}

function namesOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}

function recordOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(recordOf(value));
}
