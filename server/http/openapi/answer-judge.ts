import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { OpenApiDocument } from './document.ts';

export interface Answer {
  method: string;
  /** The route's, with `{id}`; null where no route was found. */
  path: string | null;
  status: number;
  media: string;
  /** Text that was sent; undefined where it is a stream. */
  body: string | undefined;
}

/** Judges answers by a document. */
export class AnswerJudge {
  readonly #document: OpenApiDocument;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.#ajv.addSchema(document, 'document');
  }

  /** @returns what is wrong with the answer; null where nothing is */
  judge(answer: Answer): string | null {
    if (answer.path === null) return this.#judgeBody(answer, '/components/responses/Problem404');
    const operation = this.#document.paths[answer.path]?.[answer.method];
    if (operation === undefined) return `${answer.method} ${answer.path} has no operation`;
    const response = operation.responses[`${answer.status}`];
    if (response === undefined) return `${operation.operationId} has no response ${answer.status}`;
    const place =
      typeof response['$ref'] === 'string'
        ? response['$ref'].slice(1)
        : `/paths/${pointerPart(answer.path)}/${answer.method}/responses/${answer.status}`;
    return this.#judgeBody(answer, place);
  }

  #judgeBody(answer: Answer, place: string): string | null {
    const content = mediaOf(valueAt(this.#document, place));
    if (content.length === 0)
      return answer.body === '' ? null : `${answer.status} has a body, ${answer.media}`;
    if (!content.includes(answer.media))
      return `${answer.status} is ${answer.media}, not ${content.join(' or ')}`;
    if (answer.body === undefined || !answer.media.endsWith('json')) return null;
    const reference = `document#${place}/content/${pointerPart(answer.media)}/schema`;
    const validate = this.#validators.get(reference) ?? this.#ajv.compile({ $ref: reference });
    this.#validators.set(reference, validate);
    if (validate(JSON.parse(answer.body))) return null;
    return this.#ajv.errorsText(validate.errors, { dataVar: 'body' });
  }
}

function mediaOf(response: unknown): string[] {
  if (typeof response !== 'object' || response === null || !('content' in response)) return [];
  return Object.keys(response.content ?? {});
}

function valueAt(document: OpenApiDocument, place: string): unknown {
  return place
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((value, key) => {
      if (typeof value !== 'object' || value === null) return undefined;
      return Object.entries(value).find(([name]) => name === key)?.[1];
    }, document);
}

function pointerPart(key: string): string {
  return encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))
    .replaceAll('%7B', '{')
    .replaceAll('%7D', '}');
}
